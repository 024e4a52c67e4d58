"""The baton: one process runs at a time, and who and when is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perfkit.engine.baton import Baton
from perfkit.engine.process import Failed
from perfkit.errors import PerfkitError
from perfkit.jsonlines import JsonLines
from perfkit.runfolder import RunFolder


class Paused:
    """A process that notes what it is told."""

    def __init__(self, pid: int, told: list[str]) -> None:
        self.pid = pid
        self.key = f"x/{pid}"
        self.folder = RunFolder(Path(f"1-{pid}"))
        self._told = told

    def go_on(self) -> None:
        self._told.append(f"go {self.pid}")

    def stop(self) -> None:
        self._told.append(f"stop {self.pid}")


@pytest.fixture
def log(tmp_path: Path) -> JsonLines:
    return JsonLines(tmp_path / "baton.jsonl")


def test_a_turn_is_between_go_and_stop(log: JsonLines) -> None:
    """Each process goes on when it gets the baton and stops before the next one does."""
    told: list[str] = []
    baton, first, second = Baton(log), _any(Paused(1, told)), _any(Paused(2, told))
    for process in (first, second, first):
        with baton.held_by(process, "block"):
            told.append("work")
    assert told == ["go 1", "work", "stop 1", "go 2", "work", "stop 2", "go 1", "work", "stop 1"]


def test_turns_are_written_down(log: JsonLines) -> None:
    """Who, for what, from when to when; turns do not overlap."""
    baton, told = Baton(log), list[str]()
    for pid in (1, 2):
        with baton.held_by(_any(Paused(pid, told)), f"block {pid}"):
            pass
    one, two = log.read()
    assert (one["process"], one["key"], one["what"]) == ("1-1", "x/1", "block 1")
    assert one["start_ns"] <= one["end_ns"] <= two["start_ns"] <= two["end_ns"]


def test_a_turn_that_fails_ends_all_the_same(log: JsonLines) -> None:
    """The process is paused and its time counted, whatever happened in the turn."""
    told: list[str] = []
    baton, process = Baton(log), _any(Paused(1, told))
    with pytest.raises(Failed), baton.held_by(process, "block"):
        raise Failed("timeout", "planted")
    assert told == ["go 1", "stop 1"]
    assert len(list(log.read())) == 1
    assert baton.held_s(process) > 0


def test_time_is_counted_by_process(log: JsonLines) -> None:
    """A process that waits for its turn has held nothing, and what it held adds up to its turns."""
    told: list[str] = []
    baton, first, second = Baton(log), _any(Paused(1, told)), _any(Paused(2, told))
    for _ in range(3):
        with baton.held_by(first, "block"):
            pass
    assert baton.held_s(second) == 0
    turns = sum(turn["end_ns"] - turn["start_ns"] for turn in log.read())
    assert baton.held_s(first) == pytest.approx(turns * 1e-9)


def test_a_turn_that_cannot_be_written_down_is_no_bug(tmp_path: Path) -> None:
    """A clear error that names the file, and the process is paused all the same."""
    told: list[str] = []
    baton = Baton(JsonLines(tmp_path / "gone" / "baton.jsonl"))
    with (
        pytest.raises(PerfkitError, match=r"cannot write .*baton\.jsonl"),
        baton.held_by(_any(Paused(1, told)), "block"),
    ):
        pass
    assert told == ["go 1", "stop 1"]


def _any(process: Paused) -> Any:
    return process
