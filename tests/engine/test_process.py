"""A training process from the engine's side: replies, silence, deaths, and a group that really stops."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench_process import PLUGINS, wait_for

from perfkit.config import RunConfig
from perfkit.engine.process import Failed, TrainingProcess
from perfkit.errors import NO_SPACE, PerfkitError
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


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start a real training of a workload, with one loader worker, and wait until it is ready."""
    monkeypatch.setenv("PERFKIT_PATH", str(PLUGINS))
    started = []

    def start(arch: str) -> TrainingProcess:
        config = RunConfig(arch=arch, num_samples=320, num_workers=1)
        started.append(TrainingProcess(RunFolder.create(tmp_path / "run", config), f"{arch}/fp32"))
        started[-1].wait_for("ready", LONG_S, what="start")
        return started[-1]

    yield start
    for process in started:
        process.end()


def states(group: int) -> dict[int, str]:
    """State of every living process of a group, by id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, _, pgrp = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:3]
            except OSError:
                continue
            if int(pgrp) == group and state != "Z":
                found[int(entry.name)] = state
    return found


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


def test_the_whole_group_stops_goes_on_and_ends(trained: Any) -> None:
    """Trainer and loader worker are paused together, answer afterwards, and end together."""
    process = trained("chatters")
    assert process.ask(LONG_S, "warm_up", seconds=0)["step_s"] > 0
    assert len(states(process.pid)) >= 2, "the trainer and its worker"
    process.stop()
    wait_for(lambda: set(states(process.pid).values()) == {"T"})
    process.go_on()
    wait_for(lambda: "T" not in states(process.pid).values())
    # it prints garbage in every step, and its answers are right all the same
    reply = process.ask(LONG_S, "block", block=3, arm="real", steps=6)
    assert (reply["do"], reply["block"], reply["result"]["steps"]) == ("block", 3, 6)
    process.stop()
    process.end()
    wait_for(lambda: not states(process.pid))


def test_a_block_that_never_ends_ends_the_group(trained: Any) -> None:
    """A timeout within a block takes the loader worker with it."""
    process = trained("tiny")
    process.ask(LONG_S, "warm_up", seconds=0)
    with pytest.raises(Failed) as caught:
        process.ask(0.3, "block", block=1, arm="real", steps=10**8)
    assert caught.value.status == "timeout" and "during block" in caught.value.message
    wait_for(lambda: not states(process.pid))


@pytest.mark.parametrize(
    ("arch", "status", "says"),
    [
        ("exhausts", "oom", "memory"),
        ("raises", "error", "planted: the model raises"),
        ("dies", "killed", "SIGKILL"),
        ("not_a_number", "nan_loss", "nan"),
        ("loses_a_worker", "killed", "a loader worker died"),
    ],
)
def test_every_fault_is_a_status(trained: Any, arch: str, status: str, says: str) -> None:
    """Exhausted memory, an exception, a kill, NaN, a lost worker: told as what they are."""
    process = trained(arch)
    with pytest.raises(Failed) as caught:
        process.ask(LONG_S, "warm_up", seconds=0)
        process.ask(LONG_S, "block", block=1, arm="real", steps=20)
    assert caught.value.status == status, caught.value.message
    assert says in caught.value.message


def test_a_step_that_never_ends_is_a_timeout(trained: Any) -> None:
    """As is a factory, which is waited for at the start."""
    with pytest.raises(Failed) as caught:
        trained("hangs").ask(0.5, "warm_up", seconds=0)
    assert caught.value.status == "timeout"


def test_a_killed_trainer_takes_its_workers_along(trained: Any) -> None:
    """kill -9 of the trainer alone is noticed though its worker holds the pipe, and nothing stays."""
    process = trained("tiny")
    process.ask(LONG_S, "warm_up", seconds=0)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(Failed) as caught:
        process.ask(LONG_S, "block", block=1, arm="real", steps=5)
    assert caught.value.status == "killed"
    wait_for(lambda: not states(process.pid))


def test_quitting_is_no_failure(trained: Any) -> None:
    """A process told to quit leaves its status behind and nothing else."""
    process = trained("tiny")
    process.ask(LONG_S, "quit")
    # by then everything is on disk, so it need not be waited for
    assert '"ok"' in (process.folder.path / "status.json").read_text()
    process.end()
    assert process.failure is None
    assert '"ok"' in (process.folder.path / "status.json").read_text()
    assert not states(process.pid)


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


def test_a_process_that_died_keeps_its_number_until_its_group_has_ended(trained: Any) -> None:
    """Its death is noticed without waiting for it: nobody else can have the number that is signalled."""
    process = trained("tiny")
    process.ask(LONG_S, "warm_up", seconds=0)
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: process._exit_code() is not None)
    assert process._exit_code() == -signal.SIGKILL
    # still there, as a zombie of ours
    os.kill(process.pid, 0)
    process.end()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    wait_for(lambda: not states(process.pid))


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


def test_a_workload_may_change_its_working_directory(
    tmp_path: Path, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run folder that crosses to it is absolute: records, events and status are where they belong."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(RunFolder, "create", _below(RunFolder.create, tmp_path))
    process = trained("wanders")
    process.ask(LONG_S, "warm_up", seconds=0)
    process.ask(LONG_S, "block", block=1, arm="real", steps=5)
    process.ask(LONG_S, "edges")
    process.ask(LONG_S, "quit")
    assert not process.folder.path.is_absolute()
    assert (process.folder.path / "status.json").exists()
    assert list(process.folder.rank(0).loader.glob("*.bin"))
    events = [event.get("do") for event in process.folder.rank(0).events.read()]
    assert events[-3:] == ["block", "edges", "quit"]


def _below(create: Any, root: Path) -> Any:
    return lambda path, config: create(path.relative_to(root), config)


@pytest.mark.parametrize("how", ["raises", "replaces", "swallows"])
def test_a_lost_worker_is_found_however_it_surfaces(
    trained: Any, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Torch raises it in the middle of somebody's code, who lets it pass, makes it another, or hides it."""
    monkeypatch.setenv("PERFKIT_TEST_LOSS", how)
    process = trained("hides_a_lost_worker")
    with pytest.raises(Failed) as caught:
        process.ask(LONG_S, "warm_up", seconds=0)
    assert caught.value.status == "killed"
    assert "a loader worker died" in caught.value.message
    wait_for(lambda: not states(process.pid))


@pytest.mark.parametrize("at", ["hello", "ready", "done", "status", "environment"])
def test_a_child_that_can_write_nothing_says_so(
    trained: Any, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """Whichever write finds the disk full: the reply is sent all the same, and names the reason."""
    monkeypatch.setenv("PERFKIT_TEST_FULL_AT", at)
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS / "full_disk"))
    with pytest.raises(Failed) as caught:
        process = trained("tiny")
        process.ask(LONG_S, "warm_up", seconds=0)
        process.ask(LONG_S, "quit")
    assert caught.value.status == "error"
    assert caught.value.message.startswith(NO_SPACE)
