"""What the player can be told to do: each answer is JSON, and says what was asked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import BATCH, let_go, run_folder, use

from perfkit.records import FETCHES, STEPS
from perfkit.runfolder import RunFolder, read_json
from perfkit.training import commands as module
from perfkit.training.arms import REPLAYED_BATCHES, Replay
from perfkit.training.commands import Commands
from perfkit.training.failures import BadLoss
from perfkit.training.probe import worker


@pytest.fixture
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make the commands of a small training with the given settings."""
    use(monkeypatch)
    made: list[Commands] = []

    def make(**settings: Any) -> Commands:
        made.append(Commands(run_folder(tmp_path, **settings)))
        return made[-1]

    yield make
    for one in made:
        one.do_quit()
        let_go(one._real)
    worker.uninstall()


def answered(value: dict[str, Any]) -> dict[str, Any]:
    """The answer as the engine gets it: without NaN, which JSON has not."""
    got: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    assert got == value
    return got


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


def test_replay_leaves_the_workers_idle(player: Any) -> None:
    """Batches seen before, in rotation: after the first few, none is taken from the loader."""
    commands = player(num_workers=1)
    commands.do_warm_up(0.0)
    commands.do_block(1, "replay", 5)
    replay = commands._arms["replay"]
    assert isinstance(replay, Replay)
    taken = [replay.next() for _ in range(2 * REPLAYED_BATCHES)]
    for one, again in zip(taken, taken[REPLAYED_BATCHES:], strict=False):
        assert one[0] is again[0]
    told = answered(commands.do_block(2, "replay", 5))["result"]
    assert (told["drained"], told["drain_s"]) == (0, 0)
    assert told["queue_start"] == told["queue_end"] == -1


def test_replay_running_takes_at_most_one_ready_batch_a_step(
    player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers' batches are thrown away as they come, never waited for, and the time is told."""
    commands = player(num_workers=1, prefetch_factor=4)
    commands.do_warm_up(0.0)
    commands.do_block(1, "replay_running", 5)
    real = commands._arms["real"]
    ready = iter([0, 0, 3, 1, 0, 2] + [0] * 99)
    taken: list[str] = []
    monkeypatch.setattr(real, "depth", lambda: next(ready))
    monkeypatch.setattr(real, "next", lambda: taken.append("one"))
    source = commands._arms["replay_running"]
    assert isinstance(source, Replay)
    before = source.drained, source.drain_s
    for _ in range(6):
        assert len(source.next()[0]) == BATCH
    assert len(taken) == source.drained - before[0] == 3
    assert source.drain_s > before[1]


def test_replay_running_keeps_the_workers_at_work(player: Any) -> None:
    """Over a block the workers go on making batches, and those are drained."""
    commands = player(num_workers=1)
    commands.do_warm_up(0.0)
    for block in range(200):
        told = answered(commands.do_block(block, "replay_running", 50))["result"]
        assert told["drained"] <= 50 * 3, "at most one a step, in the block and its extensions"
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


def quick_ceilings(patch: pytest.MonkeyPatch) -> None:
    for name in ("gemm_flops_per_sec", "copy_bytes_per_sec"):
        patch.setattr(module.ceilings, name, lambda *_: 1e9)


def test_an_examination_answers_for_every_seed(
    player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses by seed, FLOPs of a sample, ceilings; the same seed gives the same losses."""
    quick_ceilings(monkeypatch)
    commands = player()
    told = answered(commands.do_examine([0, 5]))
    assert told["losses"].keys() == {"0", "5"} and told["losses"]["0"] != told["losses"]["5"]
    assert told["flops_per_sample"] == 2 * 2 * 8 * 4
    assert told["gemm_flops_per_sec"] == told["copy_bytes_per_sec"] == 1e9
    assert answered(commands.do_examine([5]))["losses"]["5"] == told["losses"]["5"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_trace_that_is_no_number_is_a_bad_loss(
    player: Any, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    """The row says nan_loss, and not that an answer had no JSON form."""
    quick_ceilings(monkeypatch)
    losses = iter([1.0, 0.5, value, 0.1, 0.1, 0.1])
    use(monkeypatch, loss=lambda outputs, targets: outputs.sum() * 0 + next(losses))
    with pytest.raises(BadLoss, match="after 2 updates"):
        player().do_examine([0])


def test_an_examination_without_memory_goes_without(
    player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs memory that training does not is null with its reason; the rest is answered."""
    quick_ceilings(monkeypatch)

    def exhausted(*_: Any) -> float:
        raise MemoryError("planted")

    monkeypatch.setattr(module.ceilings, "gemm_flops_per_sec", exhausted)
    told = answered(player().do_examine([0]))
    assert told["gemm_flops_per_sec"] is None
    assert told["unavailable"]["gemm_ceiling_share"] == "no_memory"
    assert told["copy_bytes_per_sec"] == 1e9 and told["losses"]["0"]


def test_quitting_puts_the_last_records_on_disk(player: Any) -> None:
    """Nothing that was recorded waits in memory when the process leaves."""
    commands = player()
    commands.do_try(steps=5)
    assert answered(commands.do_quit()) == {}
    assert STEPS.count(folder_of(commands).rank(0).steps) == 5
