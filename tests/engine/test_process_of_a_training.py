"""The process of a real training: it ends with its workers, and every fault is told as what it is."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench_process import PLUGINS, states, wait_for

from perfkit.config import RunConfig
from perfkit.engine.process import Failed, TrainingProcess
from perfkit.errors import NO_SPACE
from perfkit.runfolder import RunFolder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
LONG_S = 30.0


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
