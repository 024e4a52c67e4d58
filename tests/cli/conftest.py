"""Commands that measure, in this process, for the tests whose subject is not the process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from bench_command import Command, Ran, Told, perform, told
from bench_process import PLUGINS
from fake_engine import FakeEngine
from report_documents import TWO_ROWS
from report_study import make, wavy

from perfkit import documentfile as documents
from perfkit.runfolder import StudyFolder


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run `perfkit bench`, or another command, with these flags on an engine of exact numbers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("PERFKIT_PATH", str(PLUGINS))

    def run(engine: FakeEngine, *flags: str, command: str = "bench") -> Ran:
        code = perform(monkeypatch, engine, *flags, command=command)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        stored = StudyFolder.find("latest").document
        return Ran(code, said.out, said.err, documents.read(stored))

    return run


@pytest.fixture
def diagnose(command: Command) -> Command:
    """Run `perfkit diagnose` likewise."""
    return partial(command, command="diagnose")


STEPS = {"convnext/fp32": [wavy(20), wavy(20)], "convnext/amp": [wavy(20), wavy(20)]}


@pytest.fixture
def report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Told]:
    """Run `perfkit report` in a folder with one study; exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path / ".perfkit" / "20260101T000000Z-bench", TWO_ROWS, STEPS)
    return told(monkeypatch, capsys, "report")
