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
from perfkit.training.commands import Commands
from perfkit.training.failures import BadLoss, CannotRun
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


def quick_ceilings(patch: pytest.MonkeyPatch) -> None:
    for name in ("gemm_flops_per_sec", "copy_bytes_per_sec"):
        patch.setattr(module.ceilings, name, lambda *_: 1e9)


def test_an_examination_answers_with_losses_and_their_spread(
    player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trace of its seed, three for every perturbation, FLOPs of a sample, ceilings."""
    quick_ceilings(monkeypatch)
    commands = player()
    told = answered(commands.do_examine(seed=5, perturbations=[1e-4, 2**-9]))
    assert told["losses"].keys() == {"5"}
    assert told["perturbed"].keys() == {"0.0001", "0.001953125"}
    for traces in told["perturbed"].values():
        assert [len(trace) for trace in traces] == [len(told["losses"]["5"])] * 3
    assert told["flops_per_sample"] == 2 * 2 * 8 * 4
    assert told["gemm_flops_per_sec"] == told["copy_bytes_per_sec"] == 1e9
    assert (told["lost"], told["unavailable"]) == ({}, {})
    again = answered(commands.do_examine(seed=5, perturbations=[]))
    assert (again["losses"], again["perturbed"]) == (told["losses"], {})


def test_workers_are_at_rest_while_ceilings_are_measured(
    player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counting needs is one batch, and no more is made."""
    quick_ceilings(monkeypatch)
    commands = player(num_workers=1)
    commands.do_warm_up(0.0)

    def at_rest(*_: Any) -> float:
        iterator = commands._edges._loader._iterator
        assert (iterator._tasks_outstanding, iterator._worker_result_queue.qsize()) == (0, 0)
        return 2e9

    monkeypatch.setattr(module.ceilings, "gemm_flops_per_sec", at_rest)
    assert answered(commands.do_examine(0, []))["gemm_flops_per_sec"] == 2e9


def raising(error: Exception) -> Any:
    def raises(*_: Any, **__: Any) -> Any:
        raise error

    return raises


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        ("losses.trace", "losses", "losses"),
        ("losses.perturbed", "losses", "perturbed"),
        ("flops.training_flops", "flops_per_sample", "flops_per_sample"),
        ("ceilings.gemm_flops_per_sec", "gemm_ceiling_share", "gemm_flops_per_sec"),
        ("ceilings.copy_bytes_per_sec", "copy_bytes_per_sec", "copy_bytes_per_sec"),
    ],
)
@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (MemoryError("planted"), "no_memory", "planted"),
        (KeyError("planted"), "failed", "KeyError: 'planted'"),
        (CannotRun("planted"), "not_supported", "planted"),
    ],
)
def test_each_part_of_an_examination_is_lost_alone(
    player: Any,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    name: str,
    value: str,
    error: Exception,
    reason: str,
    message: str,
) -> None:
    """It is null with what happened; the rest is answered."""
    quick_ceilings(monkeypatch)
    part, function = where.split(".")
    monkeypatch.setattr(getattr(module, part), function, raising(error))
    told = answered(player().do_examine(0, [1e-3]))
    assert not told[value]
    assert told["lost"] == {name: message}
    assert told["unavailable"] == {name: reason}
    others = {"losses", "perturbed", "flops_per_sample", "gemm_flops_per_sec", "copy_bytes_per_sec"}
    if where == "losses.trace":
        others.remove("perturbed")
    assert all(told[other] for other in others - {value})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_trace_that_is_no_number_is_lost(
    player: Any, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    """After how many updates is told; what was timed stays measured."""
    quick_ceilings(monkeypatch)
    # the first call is the one that counts FLOPs
    losses = iter([1.0, 1.0, 0.5, value, 0.1, 0.1, 0.1])
    use(monkeypatch, loss=lambda outputs, targets: outputs.sum() * 0 + next(losses))
    told = answered(player().do_examine(0, []))
    assert told["losses"] == {}
    assert "after 2 updates" in told["lost"]["losses"]
    assert told["unavailable"]["losses"] == "failed"


def test_what_cannot_be_counted_says_why(player: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that reads values cannot be followed without them."""
    quick_ceilings(monkeypatch)
    use(monkeypatch, loss=lambda outputs, targets: outputs.sum() * outputs.sum().item())
    told = answered(player().do_examine(0, []))
    assert told["unavailable"]["flops_per_sample"] == "not_supported"
    assert told["lost"]["flops_per_sample"]


def test_a_model_without_a_product_has_nothing_to_count(
    player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is no failure."""
    quick_ceilings(monkeypatch)
    loss = lambda outputs, targets: outputs.sum()  # noqa: E731
    use(monkeypatch, model_of=lambda: torch.nn.LayerNorm(8), loss=loss)
    told = answered(player().do_examine(0, []))
    assert (told["unavailable"], told["lost"]) == ({"flops_per_sample": "no_data"}, {})


def test_edges_and_the_real_epoch_are_lost_alone(
    player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sample is left, which the loss refuses: the other parts are answered, and steps go on."""
    quick_ceilings(monkeypatch)

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if len(targets) == 1:
            raise ValueError("planted: expected more than one sample")
        return torch.nn.functional.cross_entropy(outputs, targets)

    use(monkeypatch, loss=loss)
    commands = player(num_samples=65, num_workers=1)
    commands.do_warm_up(0.0)
    told = answered(commands.do_edges())
    why = "ValueError: planted: expected more than one sample"
    assert told["lost"] == {"partial_batch": why}
    assert told["unavailable"]["partial_batch"] == "failed"
    assert told["edges"]["epoch_start"] > 0 and "partial_batch" not in told["edges"]
    assert told["memory"]["peak_rss_bytes"] > 0
    epoch = answered(commands.do_epoch())
    assert epoch == {
        "epoch_s": None,
        "lost": {"full_epoch": why},
        "unavailable": {"full_epoch": "failed"},
    }
    assert answered(commands.do_examine(0, []))["losses"]["0"]
    assert answered(commands.do_block(1, "real", 5))["result"]["steps"] == 5


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
