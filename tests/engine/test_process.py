"""A training process from the engine's side: its replies, its silence and its death."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench_process import states, wait_for

from perfkit.config import RunConfig
from perfkit.engine.process import Failed, TrainingProcess
from perfkit.errors import PerfkitError
from perfkit.runfolder import RunFolder
from perfkit.wire import pack_reply

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
READY = pack_reply({"event": "ready", "number": 7})
SILENT = "exec sleep 60"
LONG_S = 30.0


@pytest.fixture
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start a script in the player's place: it says what it is given, then does as it is told."""
    started = []

    def start(says: bytes, then: str) -> TrainingProcess:
        (tmp_path / "says").write_bytes(says)
        stand_in = tmp_path / "python"
        stand_in.write_text(f"#!/bin/sh\ncat {tmp_path}/says\n{then}\n")
        stand_in.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(stand_in))
        folder = RunFolder.create(tmp_path / "run", RunConfig(arch="x"))
        started.append(TrainingProcess(folder, "x/fp32"))
        return started[-1]

    yield start
    for process in started:
        process.end()


def failure(process: TrainingProcess, timeout_s: float = LONG_S) -> Failed:
    """The failure that a wait for readiness ends in."""
    with pytest.raises(Failed) as caught:
        process.wait_for("ready", timeout_s, what="start")
    assert process.failure is caught.value
    return caught.value


def test_replies_are_told_from_garbage(player: Any) -> None:
    """Text, JSON without the mark, a mark without JSON and raw bytes are nobody's reply."""
    garbage = b'hello\n{"event": "ready", "number": 1}\n' + READY[:20] + b"\n\xff\x00\n"
    process = player(garbage + READY, SILENT)
    assert process.wait_for("ready", LONG_S, what="start")["number"] == 7


def test_replies_of_another_kind_are_passed_over(player: Any) -> None:
    """A greeting before the reply that is waited for does not stand in its place."""
    process = player(pack_reply({"event": "hello"}) + READY, SILENT)
    assert process.wait_for("ready", LONG_S, what="start")["number"] == 7


def test_silence_is_a_timeout(player: Any) -> None:
    """A child that says nothing is ended, and its row is called by its name."""
    process = player(b"", SILENT)
    told = failure(process, timeout_s=0.1)
    assert told.status == "timeout" and "during start" in told.message
    wait_for(lambda: not states(process.pid))


def test_no_time_left_is_a_timeout_at_once(player: Any) -> None:
    """A process that has used up its time is not waited for, and not given for ever either."""
    process = player(b"", SILENT)
    with pytest.raises(Failed) as caught:
        process.ask(0.0, "block", steps=1)
    assert caught.value.status == "timeout"


def test_an_exit_without_a_word_tells_its_last_line(player: Any) -> None:
    """The exit code and what was printed last are all that is known, and are told."""
    told = failure(player(b"", "echo first >&2; echo planted >&2; exit 7"))
    assert told.status == "error"
    assert "code 7" in told.message and told.message.endswith("planted")


@pytest.mark.parametrize(("name", "hint"), [("KILL", "out of memory"), ("SEGV", "SIGSEGV")])
def test_a_death_by_signal_names_it(player: Any, name: str, hint: str) -> None:
    """SIGKILL from nowhere is usually the kernel short of memory; other signals are only named."""
    told = failure(player(b"", f"kill -{name} $$"))
    assert told.status == "killed"
    assert f"SIG{name}" in told.message and hint in told.message


def test_a_reply_before_death_still_counts(player: Any) -> None:
    """What was said before the end is read before the end is noticed."""
    assert player(READY, "exit 0").wait_for("ready", LONG_S, what="start")["number"] == 7


def test_a_failure_that_was_told_is_taken_at_its_word(player: Any) -> None:
    """The child's own status and message are the row's."""
    said = pack_reply({"event": "failed", "status": "oom", "message": "planted"})
    told = failure(player(said, SILENT))
    assert (told.status, told.message) == ("oom", "planted")


def test_python_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process at all is an error of the whole command, not of one row."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(PerfkitError, match="cannot start"):
        TrainingProcess(RunFolder.create(tmp_path / "run", RunConfig(arch="x")), "x/fp32")


def test_a_process_that_was_waited_for_is_signalled_no_more(
    player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number may be another process's by then, and its group's too."""
    process = player(READY, SILENT)
    process.wait_for("ready", LONG_S, what="start")
    process.end()
    signalled: list[tuple[int, int]] = []
    for name in ("kill", "killpg"):
        monkeypatch.setattr(os, name, lambda *told: signalled.append(told))
    for order in (process.stop, process.go_on, process.kill, process.end):
        order()
    assert signalled == []
    monkeypatch.undo()


@pytest.mark.parametrize(("then", "code"), [("exit 7", 7), ("kill -TERM $$", -signal.SIGTERM)])
def test_an_exit_code_is_known_before_it_is_waited_for(player: Any, then: str, code: int) -> None:
    """As is a signal; afterwards it is the same."""
    process = player(b"", then)
    wait_for(lambda: process._exit_code() is not None)
    assert process._exit_code() == code
    process.end()
    assert process._exit_code() == code


def test_a_line_that_closes_before_the_end_is_waited_on(player: Any) -> None:
    """The exit that follows says what it was."""
    told = failure(player(b"", "exec >&-; sleep 0.5; exit 7"))
    assert told.status == "error" and "code 7" in told.message


def test_a_line_that_closes_for_good_is_a_timeout(player: Any) -> None:
    """A process that lives on and cannot speak is given up."""
    told = failure(player(b"", "exec >&-; exec sleep 60"), timeout_s=0.5)
    assert told.status == "timeout" and "closed its line" in told.message
