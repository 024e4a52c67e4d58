"""The executor: what is stored of a generation, and what a write that fails becomes."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_engine import row

from perfkit.document import Status
from perfkit.engine import executor as module
from perfkit.engine.events import Event, GenerationDone
from perfkit.engine.executor import Executor
from perfkit.engine.plan import GenerationPlan
from perfkit.engine.results import GenerationResult, ProcessResult
from perfkit.errors import NO_SPACE, DamagedFile, PerfkitError, UsageError
from perfkit.jsonlines import JsonLines
from perfkit.runfolder import StudyFolder

KEY = "x/fp32"
PLAN = GenerationPlan(number=1, group=0, rows=(row(KEY),))
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Planned:
    """A generation that comes back as a test says."""

    raises: PerfkitError | None = None
    problem: PerfkitError | None = None
    unfinished: GenerationResult | None = None
    message: str | None = None

    def __init__(self, study: StudyFolder, plan: GenerationPlan, **_: Any) -> None:
        self._plan = plan

    def run(self) -> GenerationResult:
        if self.raises is not None:
            raise self.raises
        status: Status = "ok" if self.message is None else "error"
        return GenerationResult(
            number=self._plan.number,
            group=0,
            palindromes=1,
            side_by_side=True,
            processes=(ProcessResult(key=KEY, status=status, message=self.message),),
            cost_s=1.0,
            palindrome_s=0.5,
        )


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def executor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event]
) -> Iterator[Executor]:
    for name in ("raises", "problem", "message"):
        monkeypatch.setattr(Planned, name, None)
    monkeypatch.setattr(module, "Generation", Planned)
    study = StudyFolder.create("bench", root=tmp_path)
    with Executor(study, timeout_s=60, emit=events.append) as made:
        yield made


def stored(executor: Executor) -> list[str]:
    return sorted(path.name for path in (executor.study.path / "generations").iterdir())


def test_a_finished_generation_is_stored(executor: Executor, events: list[Event]) -> None:
    """And told, and read back."""
    result = executor.run(PLAN)
    assert stored(executor) == ["1.json"]
    assert executor.finished() == [result]
    assert any(isinstance(event, GenerationDone) for event in events)


def test_what_could_not_be_written_after_the_blocks_stores_them_and_ends_the_study(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generation counts when the study goes on, and the error says how."""
    monkeypatch.setattr(Planned, "problem", PerfkitError(f"{KEY}: {NO_SPACE}: x"))
    with pytest.raises(PerfkitError, match=NO_SPACE) as caught:
        executor.run(PLAN)
    assert stored(executor) == ["1.json"]
    hint = caught.value.hint or ""
    assert hint.startswith("free some space, then") and f"--resume {executor.study.path}" in hint
    assert caught.value.exit_code == 1


def test_a_row_that_found_no_space_is_run_again_later(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its blocks were not timed: nothing is stored as failed for good."""
    monkeypatch.setattr(Planned, "message", f"{NO_SPACE}: x")
    assert executor.run(PLAN).processes[0].status == "error"
    assert stored(executor) == []
    monkeypatch.setattr(Planned, "message", "ValueError: planted")
    executor.run(PLAN)
    assert stored(executor) == ["1.json"]


@pytest.mark.parametrize(
    ("full", "hint"), [(True, "free some space, then"), (False, "go on with --resume")]
)
def test_a_generation_that_cannot_go_on_says_how_to(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, full: bool, hint: str
) -> None:
    """Whatever it was: a full disk, a process that cannot be started."""
    error = PerfkitError("cannot write x")
    error.__cause__ = FULL if full else None
    monkeypatch.setattr(Planned, "raises", error)
    with pytest.raises(PerfkitError, match="cannot write x") as caught:
        executor.run(PLAN)
    assert (caught.value.hint or "").startswith(hint)
    assert str(executor.study.path) in (caught.value.hint or "")


def test_a_result_that_cannot_be_stored(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is a clear error, and leaves nothing half-written."""

    def full(handle: int) -> None:
        raise FULL

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PerfkitError, match=r"cannot write .*1\.json") as caught:
        executor.run(PLAN)
    assert (caught.value.hint or "").startswith("free some space, then go on with --resume")
    assert stored(executor) == []


def test_a_damaged_file_stays_one(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has to mend is not hidden behind what they may do later."""
    monkeypatch.setattr(Planned, "raises", DamagedFile("steps.bin is damaged", hint="mend it"))
    with pytest.raises(DamagedFile) as caught:
        executor.run(PLAN)
    assert caught.value.hint == "mend it"


def test_a_study_is_run_by_one(executor: Executor) -> None:
    """The second is refused."""
    with pytest.raises(UsageError, match="another perfkit"):
        Executor(executor.study, timeout_s=60, emit=lambda event: None).__enter__()


def test_a_study_that_cannot_be_locked(tmp_path: Path) -> None:
    """A folder that is gone, or a full disk, is an error with its file, not a bug."""
    study = StudyFolder.create("bench", root=tmp_path)
    (study.path / "lock").mkdir()
    with pytest.raises(PerfkitError, match=r"cannot write .*lock"):
        Executor(study, timeout_s=60, emit=lambda event: None).__enter__()


def test_telemetry_is_of_all_commands(executor: Executor) -> None:
    """A study that was gone on with has a file for each; a damaged one is left out."""
    folder = executor.study.telemetry
    head = {"format": 1, "gpus": [], "unavailable": {}}

    def store(name: str, *shares: float) -> None:
        lines = JsonLines(folder / name)
        lines.append(head)
        for number, share in enumerate(shares):
            host = {"cpu_busy_share": share, "memory_available_bytes": 1}
            times = {"t_ns": number, "t_end_ns": number}
            lines.append({**times, "host": host, "gpus": [], "unavailable": {}})

    store("samples.jsonl", 0.2)
    store("samples-2.jsonl", 0.6, 0.6, 0.6)
    (folder / "samples-3.jsonl").write_text("[]\n")
    found = executor.averages([(0, 10)])
    assert (found.samples, found.values["cpu_busy_share"]) == (4, pytest.approx(0.5))
    assert executor.averages([]).values["cpu_busy_share"] is None


def test_what_did_not_finish_is_removed(executor: Executor) -> None:
    """Folders of finished generations stay, and what is no folder of a generation."""
    executor.run(PLAN)
    for name in ("1-0", "2-0", "2-1", "notes-x"):
        executor.study.path.joinpath("processes", name).mkdir()
    executor.drop_unfinished()
    left = {path.name for path in (executor.study.path / "processes").iterdir()}
    assert left == {"1-0", "notes-x"}
    shutil.rmtree(executor.study.path / "processes")
    executor.drop_unfinished()


def test_what_cannot_be_removed_is_named(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clear error, not a traceback."""
    (executor.study.path / "processes" / "1-0").mkdir()

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(PerfkitError, match=r"cannot remove .*1-0: Permission denied"):
        executor.drop_unfinished()
    monkeypatch.undo()
