"""What the player can be told to do: each answer is JSON, and says what was asked."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_training import BATCH, answered, raising, use

from perfkit.records import FETCHES, STEPS
from perfkit.runfolder import RunFolder, read_json
from perfkit.training import commands as module
from perfkit.training.commands import Commands
from perfkit.training.failures import BadLoss


def folder_of(player: Commands) -> RunFolder:
    return player._folder


def test_the_machine_is_described(player: Any) -> None:
    """What torch sees and what is in force, stored in the run folder too."""
    commands = player()
    told = answered(commands.describe())
    assert told["environment"]["torch"] == torch.__version__
    assert read_json(folder_of(commands).path / "environment.json") == told["environment"]
    assert told["effective"] and told["worker_records"] is True


def test_warming_up_tells_the_costs_of_starting(player: Any) -> None:
    """Worker start, first batch and first step apart, and the step time that blocks are sized by."""
    commands = player(num_workers=1)
    told = answered(commands.do_warm_up(0.0))
    assert told["startup_s"].keys() == {"worker_start", "first_batch", "first_step"}
    assert all(value > 0 for value in told["startup_s"].values())
    assert told["step_s"] > 0


def test_a_loss_that_explodes_in_the_warm_up_is_noticed(
    player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Divergence is judged from the very first step, not from what warming up made of it."""
    losses = iter([1.0, *[1e9] * 99])
    use(monkeypatch, loss=lambda outputs, targets: outputs.sum() * 0 + next(losses))
    with pytest.raises(BadLoss, match="diverged"):
        player().do_warm_up(0.0)


def test_a_block_is_answered_and_recorded(player: Any) -> None:
    """The steps it names are in the record file, and the batches behind them in the workers'."""
    commands = player(num_workers=1)
    commands.do_warm_up(0.0)
    told = answered(commands.do_block(3, "real", 6))
    result = told["result"]
    assert (told["block"], told["arm"], result["steps"]) == (3, "real", 6)
    assert 0 < result["own_s"] < (result["end_ns"] - result["start_ns"]) * 1e-9
    rank = folder_of(commands).rank(0)
    steps = list(STEPS.read(rank.steps, first=result["first_step"], count=6))
    assert [(s.block, s.samples) for s in steps] == [(3, BATCH)] * 6
    (path,) = rank.loader.glob("0-*.bin")
    assert FETCHES.count(path) >= 6


def test_a_block_of_an_arm_is_whole_updates(player: Any) -> None:
    """Of four batches each: the fewest steps, five, become eight, also where nobody says how many."""
    commands = player(accumulate=4)
    commands.do_warm_up(0.0)
    for size in ({"seconds": 0.0}, {}):
        told = answered(commands.do_block(1, "real", **size))["result"]
        assert told["steps"] == 8


def test_replay_leaves_the_workers_idle(player: Any) -> None:
    """Nothing is taken from the loader once the batches to replay are there."""
    commands = player(num_workers=1)
    commands.do_warm_up(0.0)
    commands.do_block(1, "replay", seconds=0.0)
    taken: list[str] = []
    commands._arms["real"].next = lambda: taken.append("one")
    told = answered(commands.do_block(2, "replay", seconds=0.0))["result"]
    assert (told["drained"], told["drain_s"], taken) == (0, 0, [])
    assert told["queue_start"] == told["queue_end"] == -1


def test_replay_running_keeps_the_workers_at_work(player: Any) -> None:
    """Over a block the workers go on making batches, and those are drained: at most one a step."""
    commands = player(num_workers=1)
    commands.do_warm_up(0.0)
    for block in range(200):
        told = answered(commands.do_block(block, "replay_running", seconds=0.0))["result"]
        assert told["drained"] <= told["steps"]
        if told["drained"]:
            break
    assert told["drained"] > 0 and told["drain_s"] > 0


def test_edges_are_answered_with_the_memory(player: Any) -> None:
    """Peak memory of the trainer, and the workers' own while they live."""
    commands = player(num_workers=1, num_samples=72)
    commands.do_warm_up(0.0)
    told = answered(commands.do_edges())
    assert told["edges"]["partial_batch"] > 0
    assert told["memory"]["peak_rss_bytes"] > 0
    assert "workers_pss_bytes" in told["memory"]
    assert told["memory"]["peak_allocated_bytes"] is None
    assert told["unavailable"]["peak_allocated_bytes"]


def test_a_try_runs_its_steps(player: Any) -> None:
    """So many steps and what memory they used."""
    commands = player()
    told = answered(commands.do_try(steps=6))
    assert commands.recorder.steps == 6
    assert told["memory"]["peak_rss_bytes"] > 0


def test_a_real_epoch_is_answered(player: Any) -> None:
    """Its seconds, for the forecast to be held against."""
    assert answered(player().do_epoch())["epoch_s"] > 0


def test_memory_that_cannot_be_read_costs_itself(
    player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edges are answered all the same."""
    commands = player()
    monkeypatch.setattr(module.memory, "device_memory", raising(RuntimeError("planted")))
    told = answered(commands.do_edges())
    assert told["edges"]["epoch_start"] > 0
    assert (told["memory"], told["lost"]) == ({}, {"memory": "RuntimeError: planted"})


def test_quitting_puts_the_last_records_on_disk(player: Any) -> None:
    """Nothing that was recorded waits in memory when the process leaves."""
    commands = player()
    commands.do_try(steps=5)
    assert answered(commands.do_quit()) == {}
    assert STEPS.count(folder_of(commands).rank(0).steps) == 5
