"""An examination, and every part of it and of the edges that is lost alone: null, with what happened."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from small_training import answered, raising, use

from perfkit.training import commands as module
from perfkit.training.failures import CannotRun

pytestmark = pytest.mark.usefixtures("quick_ceilings")


def test_an_examination_answers_with_losses_and_their_spread(player: Any) -> None:
    """The trace of its seed, three for every perturbation, FLOPs of a sample, ceilings."""
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
    commands = player(num_workers=1)
    commands.do_warm_up(0.0)

    def at_rest(*_: Any) -> float:
        iterator = commands._edges._loader._iterator
        assert (iterator._tasks_outstanding, iterator._worker_result_queue.qsize()) == (0, 0)
        return 2e9

    monkeypatch.setattr(module.ceilings, "gemm_flops_per_sec", at_rest)
    assert answered(commands.do_examine(0, []))["gemm_flops_per_sec"] == 2e9


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
    # the first call is the one that counts FLOPs
    losses = iter([1.0, 1.0, 0.5, value, 0.1, 0.1, 0.1])
    use(monkeypatch, loss=lambda outputs, targets: outputs.sum() * 0 + next(losses))
    told = answered(player().do_examine(0, []))
    assert told["losses"] == {}
    assert "after 2 updates" in told["lost"]["losses"]
    assert told["unavailable"]["losses"] == "failed"


def test_what_cannot_be_counted_says_why(player: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that reads values cannot be followed without them."""
    use(monkeypatch, loss=lambda outputs, targets: outputs.sum() * outputs.sum().item())
    told = answered(player().do_examine(0, []))
    assert told["unavailable"]["flops_per_sample"] == "not_supported"
    assert told["lost"]["flops_per_sample"]


def test_a_model_without_a_product_has_nothing_to_count(
    player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is no failure."""
    loss = lambda outputs, targets: outputs.sum()  # noqa: E731
    use(monkeypatch, model_of=lambda: torch.nn.LayerNorm(8), loss=loss)
    told = answered(player().do_examine(0, []))
    assert (told["unavailable"], told["lost"]) == ({"flops_per_sample": "no_data"}, {})


def test_edges_and_the_real_epoch_are_lost_alone(
    player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sample is left, which the loss refuses: the other parts are answered, and steps go on."""

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
