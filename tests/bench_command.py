"""Running a command that measures in this process on an engine of exact numbers, from flags to exit code.

Four things are replaced, all in `perform`: the survey of the machine, the making of data, the executor and
the clock. What is between the flags and these is what a user runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from fake_engine import FakeEngine, FakeExecutor
from own_settings import declared

from perfkit.cli import bench, diagnose, measure
from perfkit.cli.main import main
from perfkit.document import Document
from perfkit.engine.questions import Data
from perfkit.runfolder import StudyFolder
from perfkit.study import start

ENVIRONMENT = {"device_type": "cpu", "device_name": "Example CPU", "cores_usable": 2}
DATA = Data(path="/data", num_samples=None)
MODULES = {"bench": bench, "diagnose": diagnose}


@dataclass
class Ran:
    """What a command left."""

    code: object
    out: str
    err: str
    document: Document


Command = Callable[..., Ran]
Told = tuple[object, str, str]
"""Exit code, stdout, stderr."""


def perform(
    patch: pytest.MonkeyPatch,
    engine: FakeEngine,
    *flags: str,
    command: str = "bench",
    environment: Mapping[str, Any] | None = None,
    data: Data = DATA,
) -> object:
    """Run it in the current folder, and return its exit code.

    Args:
        command: `bench` or `diagnose`.
        environment: what the survey of the machine found; the usual one, with the engine's cores, if None.
        data: what was found of every workload's data.
    """

    def executor(folder: StudyFolder, *, timeout_s: float, emit: Any) -> FakeExecutor:
        return FakeExecutor(engine, folder)

    found = {**ENVIRONMENT, "cores_usable": engine.cores} if environment is None else environment
    surveyed = {"device": "cpu", "environment": dict(found), "settings": declared()}
    patch.setattr(start, "survey", lambda device, archs=(), child=None: surveyed)
    patch.setattr(start, "prepare", lambda config, emit, timeout_s, child: data)
    patch.setattr(measure, "Executor", executor)
    for module in (MODULES[command], measure):
        patch.setattr(module, "monotonic", engine.clock)
    return leave(patch, *flags, command=command)


def leave(patch: pytest.MonkeyPatch, *flags: str, command: str = "bench") -> object:
    """Run a command as it has been patched, and return its exit code."""
    patch.setattr(sys, "argv", ["perfkit", command, *flags])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


def told(
    patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> Callable[..., Told]:
    """A function that runs a command with the flags that it is given, and returns what came out."""

    def run(*flags: str) -> Told:
        code = leave(patch, *flags, command=command)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run
