"""`perfkit bench` in this process, with real training processes and no other child.

What asks for the machine and for a workload's data are children that import torch, too. They are shown by
tests of their own (`engine/test_questions.py`, `training/test_prepare.py`), and by benches of a user's.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bench_command import leave
from bench_process import PLUGINS

from perfkit import discovery
from perfkit.engine.questions import Data, survey
from perfkit.study import start


@cache
def _machine() -> dict[str, Any]:
    return survey("cpu")


def bench_here(
    patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, *flags: str
) -> tuple[object, str, str]:
    """Run it in `folder` on plug-ins that have no data to prepare: exit code, stdout, stderr."""
    patch.chdir(folder)
    patch.setenv("COLUMNS", "120")
    patch.setenv("PERFKIT_PATH", str(PLUGINS))

    def surveyed(device: str | None, archs: tuple[str, ...] = ()) -> dict[str, Any]:
        files = {arch: discovery.load("workloads", arch) for arch in archs}
        own = {arch: getattr(file, "SETTINGS", ()) for arch, file in files.items()}
        return {**_machine(), "settings": own}

    nothing = Data(path=None, num_samples=None)
    patch.setattr(start, "survey", surveyed)
    patch.setattr(start, "prepare", lambda config, emit, timeout_s: nothing)
    code = leave(patch, *flags)
    said = capsys.readouterr()
    return code, said.out, said.err
