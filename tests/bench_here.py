"""`perfkit bench` in this process, with real training processes and no other child.

What asks for the machine and for a workload's data is a child that imports torch, too. It is shown by
tests of its own (`engine/test_questions.py`, `training/test_prepare.py`), and by benches of a user's.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bench_command import leave
from bench_process import PLUGINS

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.engine.questions import Data, survey
from perfkit.study import start
from perfkit.training.prepare import prepare


@cache
def _machine() -> dict[str, Any]:
    return survey("cpu")


def _prepared(config: RunConfig, emit: Any, timeout_s: float, child: Any) -> Data:
    # a plug-in may end the process it is built in: that is what some are for
    if ":" not in config.arch:
        return Data(path=None, num_samples=None)
    return Data(**prepare(config, lambda event, **told: None))


def bench_here(
    patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, *flags: str
) -> tuple[object, str, str]:
    """Run it in `folder` on plug-ins that have no data to prepare, or on files: exit code, stdout, stderr."""
    patch.chdir(folder)
    patch.setenv("COLUMNS", "120")
    patch.setenv("PERFKIT_PATH", str(PLUGINS))

    def surveyed(device: str | None, archs: tuple[str, ...], child: Any) -> dict[str, Any]:
        files = {arch: discovery.load_workload(arch)[0] for arch in archs}
        own = {arch: getattr(file, "SETTINGS", ()) for arch, file in files.items()}
        return {**_machine(), "settings": own}

    patch.setattr(start, "survey", surveyed)
    patch.setattr(start, "prepare", _prepared)
    # what a file's folder is put into
    patch.setattr(sys, "path", sys.path.copy())
    code = leave(patch, *flags)
    said = capsys.readouterr()
    return code, said.out, said.err
