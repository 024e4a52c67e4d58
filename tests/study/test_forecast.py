"""An epoch is the sum of its measured parts, each of which can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fake_engine import block
from hypothesis import given
from hypothesis import strategies as st

from perfkit.config import RunConfig
from perfkit.engine.member import PARTS
from perfkit.engine.results import ProcessResult
from perfkit.study.forecast import (
    epoch_parts_s,
    lost_of_the_epoch,
    mean_step_s,
    without_periodic_s,
)

SECONDS = st.floats(0, 1e3)


def process(step_s: float = 0.1, **edges: Any) -> ProcessResult:
    """A process with one block of equal steps and the given edges; a tenth of each step is waiting."""
    return ProcessResult(key="x/fp32", status="ok", blocks=(block(0, 0, step_s),), edges=edges)


def config(**settings: Any) -> RunConfig:
    return RunConfig(arch="x", batch_size=16, **{"num_samples": 160, **settings})


def test_every_part_by_hand() -> None:
    """Ten steps, a partial batch of 8 in 16, start, evaluation, and periodic work spread over its epochs."""
    edges = {
        "epoch_start": 0.7,
        "pass_steps": 4,
        "partial_batch": 0.04,
        "evaluation": 0.5,
        "periodic": {"metrics": {"run_s": 2.0, "every": 10}, "plot": {"run_s": 5.0, "every": 50}},
    }
    parts = epoch_parts_s(process(**edges), config(num_samples=168))
    assert parts == pytest.approx(
        {
            "steps": 10 * 0.1,
            # half a batch is waited for half as long as a whole one: 0.01 s
            "partial_batch": 0.04 + 0.005,
            "epoch_start": 0.7 - 4 * 0.1,
            "evaluation": 0.5,
            "metrics": 0.2,
            "plot": 0.1,
        }
    )


def test_an_epoch_without_periodic_work_is_the_rest() -> None:
    """What a real epoch between two plots is held against."""
    edges = {"evaluation": 0.5, "periodic": {"plot": {"run_s": 5.0, "every": 2}}}
    assert without_periodic_s(process(**edges), config()) == pytest.approx(1.0 + 0.5)
    assert without_periodic_s(ProcessResult(key="x/fp32", status="oom"), config()) is None


def test_a_wait_that_is_not_known_is_not_guessed() -> None:
    """Without an exposed wait the partial batch is what its step took."""
    told = process(partial_batch=0.04)
    untold = replace(told, blocks=(replace(told.blocks[0], exposed_wait_s=None),))
    parts = epoch_parts_s(untold, config(num_samples=168))
    assert parts is not None and parts["partial_batch"] == pytest.approx(0.04)


def test_parts_that_were_not_measured_are_not_there() -> None:
    """No edges: the steps are all that is known, and no zero stands for the rest."""
    parts = epoch_parts_s(process(), config())
    assert parts is not None and list(parts) == ["steps"]


def test_a_lost_partial_batch_leaves_the_forecast_without_it() -> None:
    """An epoch that drops it is what is left."""
    lost = replace(process(evaluation=0.5), lost={"partial_batch": "ValueError: one value"})
    parts = epoch_parts_s(lost, config(num_samples=168))
    assert parts == pytest.approx({"steps": 1.0, "evaluation": 0.5})


@pytest.mark.parametrize("name", ["epoch_start", "evaluation", "edges", "plot of a stranger"])
def test_a_lost_edge_leaves_no_forecast(name: str) -> None:
    """An epoch without its evaluation, its start or its periodic work is another epoch."""
    lost = replace(process(evaluation=0.5), lost={name: "RuntimeError: gone"})
    assert epoch_parts_s(lost, config()) is None
    assert without_periodic_s(lost, config()) is None
    assert lost_of_the_epoch(lost) == [name]


BESIDE = ("memory", "losses", "flops_per_sample", "replay", "replay_running", "dispatch")


@pytest.mark.parametrize("name", [*BESIDE, *(p for do, p in PARTS.items() if do != "edges")])
def test_what_is_no_part_of_an_epoch_costs_no_forecast(name: str) -> None:
    """Losses, ceilings, peaks and a real epoch are values of their own."""
    lost = replace(process(evaluation=0.5), lost={name: "RuntimeError: gone"})
    assert epoch_parts_s(lost, config()) == pytest.approx({"steps": 1.0, "evaluation": 0.5})


def test_periodic_work_takes_no_name_of_ours() -> None:
    """A task called like a part of an epoch stands beside it, and an epoch without it is the same."""
    names = ("steps", "evaluation", "periodic evaluation")
    periodic = {name: {"run_s": 2.0, "every": 4} for name in names}
    parts = epoch_parts_s(process(evaluation=0.25, periodic=periodic), config())
    assert parts == pytest.approx(
        {
            "steps": 1.0,
            "evaluation": 0.25,
            "periodic steps": 0.5,
            "periodic evaluation": 0.5,
            "periodic periodic evaluation": 0.5,
        }
    )
    without = without_periodic_s(process(evaluation=0.25, periodic=periodic), config())
    assert without == pytest.approx(1.25)


def test_no_steps_no_forecast() -> None:
    """A process that timed nothing, or only another arm, has no forecast."""
    replayed = replace(block(0, 0, 0.1), arm="replay")
    for blocks in ((), (replayed,)):
        assert epoch_parts_s(replace(process(), blocks=blocks), config()) is None


def test_other_arms_do_not_count() -> None:
    """Steps of replayed batches are no steps of an epoch."""
    mixed = replace(process(), blocks=(block(0, 0, 0.1), replace(block(1, 0, 9.0), arm="replay")))
    parts = epoch_parts_s(mixed, config())
    assert parts is not None and parts["steps"] == pytest.approx(1.0)


def test_the_start_is_not_clipped() -> None:
    """A pass that happened to be quicker than its steps is below zero: clipped, chance would add up."""
    parts = epoch_parts_s(process(epoch_start=0.39, pass_steps=4), config())
    assert parts is not None and parts["epoch_start"] == pytest.approx(0.39 - 4 * 0.1)


def test_deferred_production_is_part_of_the_step() -> None:
    """What a block owes for drained batches is added to its wall time before it is divided."""
    owing = replace(block(0, 0, 0.1, steps=10), deferred_s=0.5)
    assert mean_step_s([owing]) == pytest.approx(0.15)


def test_blocks_weigh_by_their_steps() -> None:
    """Ten steps of 0.1 s and thirty of 0.2 s take 7 s, 0.175 s each."""
    assert mean_step_s([block(0, 0, 0.1, 10), block(1, 0, 0.2, 30)]) == pytest.approx(0.175)


@given(step_s=st.floats(1e-6, 10), evaluation=SECONDS, run_s=SECONDS, every=st.integers(1, 100))
def test_no_part_is_negative_and_periodic_work_thins_out(
    step_s: float, evaluation: float, run_s: float, every: int
) -> None:
    """Every part is at least zero, and periodic work done half as often costs half as much."""

    def parts(every: int) -> dict[str, float]:
        task = {"run_s": run_s, "every": every}
        edges = {"evaluation": evaluation, "periodic": {"plot": task}}
        found = epoch_parts_s(process(step_s, **edges), config())
        assert found is not None
        return found

    assert all(value >= 0 for value in parts(every).values())
    assert parts(2 * every)["plot"] == pytest.approx(parts(every)["plot"] / 2)
