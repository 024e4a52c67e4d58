"""The step of the model where cores are free, full and more than full, and what hides behind what."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipelines import WORKERS, attributed

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.predict import (
    ENDS,
    HANDOVER_S,
    Pipeline,
    epoch_s,
    pipeline_of,
    predict,
    step_s,
)
from perfkit.diagnosis.remedies import _seen
from perfkit.stats import Interval

GPU = replace(WORKERS, devices=("cuda:0",))
COST_S = [HANDOVER_S[end] for end in ENDS]
"""Of handing a batch over, at each end."""


def alone(cores: int, threads: int, decoding: float, computing: float) -> Evidence:
    """A training without workers: seconds of an epoch of 100 steps."""
    config = replace(WORKERS, num_workers=0, num_threads=threads)
    return attributed(config, cores=cores, waiting=decoding, compute=computing)


def steps_with(made: Evidence, workers: int) -> list[float]:
    """A step with so many workers, at the value, the low and the high end."""
    found = [pipeline_of(made, end) for end in ENDS]
    return [step_s(replace(one, workers=workers)) for one in found if one is not None]


def with_workers(workers: int):
    """The effect of a number of workers."""
    return lambda pipeline: replace(pipeline, workers=workers)


def test_free_cores_cost_nothing() -> None:
    """Four cores, 60 ms of decoding beside 40 ms on two of them: one worker decides, with two the trainer."""
    made = alone(4, 2, 6.0, 4.0)
    assert steps_with(made, 1) == pytest.approx([0.06, 0.06, 0.06])
    assert steps_with(made, 2) == pytest.approx([0.04 + cost_s for cost_s in COST_S])


def test_cores_that_are_exactly_full() -> None:
    """Two cores, as much decoding as computing on one of them: only handing over is added, at each end."""
    made = alone(2, 1, 5.0, 5.0)
    assert steps_with(made, 1) == pytest.approx([0.05 + cost_s for cost_s in COST_S])


def test_cores_that_are_more_than_full() -> None:
    """Two threads on two cores, 40 ms, and 60 ms of decoding.

    Shared evenly (61.45 + 2 × 41.45) ÷ 2 = 72.175 ms; a trainer that stops whole 41.45 + 61.45 = 102.9 ms.
    The value is their middle, the low end the worst with 2 ms of handing over, the high end a trainer that
    uses one core, where the worker decides.
    """
    made = alone(2, 2, 6.0, 4.0)
    assert steps_with(made, 1) == pytest.approx([0.0875375, 0.104, 0.06])
    found = predict(made, [with_workers(1)])
    assert found is not None
    faster = found.speedup
    assert (faster.value, faster.low, faster.high) == (
        pytest.approx(0.1 / 0.0875375), pytest.approx(0.1 / 0.104), pytest.approx(0.1 / 0.06),
    )  # fmt: skip
    assert found.saves_s.low == pytest.approx(-0.4)


def test_one_thread_shares_evenly_or_waits_as_long() -> None:
    """Of a single thread nothing waits for another: 80 ms of decoding and 20 ms fill two cores for 50 ms."""
    assert steps_with(alone(2, 1, 8.0, 2.0), 2) == pytest.approx(
        [0.05 + cost_s for cost_s in COST_S]
    )


@pytest.mark.parametrize(
    ("waiting", "computing", "tied"),
    [(3.0, 6.0, (0.0, 0.0, 0.0)), (4.5, 4.0, (0.5, 0.5, 0.0)), (6.0, 4.0, (0.5, 1.0, 0.0))],
)
def test_workers_show_how_cores_are_shared(
    waiting: float, computing: float, tied: tuple[float, ...]
) -> None:
    """60 ms of a worker beside two threads on two cores: a step shorter than the worst excludes it."""
    config = replace(WORKERS, num_threads=2)
    facts = {"loader": {"fetch_s": 0.06, "fetch_cpu_s": 0.06}}
    made = attributed(config, cores=2, waiting=waiting, compute=computing, row=facts)
    found = [pipeline_of(made, end) for end in ENDS]
    assert [one.tied for one in found if one is not None] == pytest.approx(tied)
    assert steps_with(made, 1) == pytest.approx([(waiting + computing) / 100] * 3)


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """Any training without workers, at any end."""
    seconds = st.floats(0.01, 10.0)
    made = alone(draw(st.integers(1, 16)), draw(st.integers(1, 8)), draw(seconds), draw(seconds))
    found = pipeline_of(made, draw(st.sampled_from(ENDS)))
    assert found is not None
    return found


@given(pipelines(), st.integers(1, 16), st.integers(0, 16), st.floats(0.0, 0.1))
def test_more_of_anything(now: Pipeline, workers: int, more: int, seconds: float) -> None:
    """More workers or cores are never slower; more threads on them or more decoding never faster."""
    it = replace(now, workers=workers)
    assert it.cores is not None
    step = step_s(it)
    least = 1e-12
    assert step_s(replace(it, workers=workers + more)) <= step + least
    assert step_s(replace(it, cores=it.cores + more)) <= step + least
    assert step_s(replace(it, trainer_cores=it.trainer_cores + more)) >= step - least
    assert step_s(replace(it, cpu_s=it.cpu_s + seconds)) >= step - least
    assert step >= (it.cpu_s + it.aside_s) / it.cores - least


@given(pipelines(), st.integers(1, 16))
def test_a_worker_costs_no_more_than_handing_over(now: Pipeline, workers: int) -> None:
    """However full the cores are: at worst worker and trainer take turns, as without a worker."""
    assert step_s(replace(now, workers=workers)) <= step_s(now) + 2 * now.handover_s + 1e-12


@given(
    st.integers(1, 16),
    st.integers(1, 8),
    st.floats(0.01, 10.0),
    st.floats(0.01, 10.0),
    st.integers(1, 8),
)
def test_the_low_end_is_the_slowest(
    cores: int, threads: int, decoding: float, computing: float, workers: int
) -> None:
    """And the high end the fastest."""
    value, low, high = steps_with(alone(cores, threads, decoding, computing), workers)
    assert high <= value + 1e-12 and value <= low + 1e-12


def test_handing_over_goes_with_the_workers() -> None:
    """Of 60 ms of waiting 5 would stay: handing over, which every batch has, and none without workers."""
    made = attributed(
        waiting=6.0, compute=3.0, transfer=1.0, cores=None,
        removable={"waiting": Interval(5.5)}, row={"loader": {"fetch_s": 0.1}},
    )  # fmt: skip
    now = pipeline_of(made)
    assert now is not None
    assert (now.transfer_s, now.fixed_s) == (pytest.approx(0.015), pytest.approx(0.0, abs=1e-12))
    assert step_s(replace(now, workers=16)) == pytest.approx(0.03 + 0.015)
    assert step_s(replace(now, workers=0)) == pytest.approx(0.03 + 0.1)


HIDDEN = attributed(
    GPU, compute=3.5, host_launch=4.5, h2d=2.0, removable={"h2d": Interval(0.0)}, cores=None
)
"""The host takes 100 ms to launch a step, in which the device computes 35 and copies 20."""


@pytest.mark.parametrize(
    ("effect", "left_s"),
    [
        (lambda pipeline: pipeline, 0.1),
        (_seen.costs_nothing("h2d_s"), 0.1),
        (_seen.costs_nothing("host_launch_s"), 0.055),
        (_seen.computes_faster(2.0), 0.05),
        (_seen.computes_faster(10.0), 0.0235),
    ],
)
def test_a_hidden_copy_takes_no_time_of_its_own(effect, left_s: float) -> None:
    """Without copies the device idles; twice the pace is half the step; what is left of it at least."""
    now = pipeline_of(HIDDEN)
    assert now is not None and now.hidden_s == pytest.approx(0.02)
    assert step_s(effect(now)) == pytest.approx(left_s)


def test_a_copy_that_is_late_with_its_batch_stays() -> None:
    """Where no launch is waited for nothing hides it: it is in the step, and saves nothing."""
    made = attributed(GPU, compute=8.0, h2d=2.0, removable={"h2d": Interval(0.0)}, cores=None)
    now = pipeline_of(made)
    assert now is not None and (now.hidden_s, now.fixed_s) == (0.0, pytest.approx(0.02))


def test_a_speedup_is_of_an_epoch_without_what_is_paid_once() -> None:
    """8 s of steps, 0.5 s of each start and 10 s of a run: half the computing is 8.5 ÷ 4.5, not 9.5 ÷ 5.5."""
    config = replace(WORKERS, epochs=10)
    parts = {"steps": 8.0, "epoch_start": 0.5}
    made = attributed(config, compute=8.0, startup=1.5, row={"epoch_parts_s": parts})
    found = predict(made, [_seen.computes_faster(2.0)])
    assert found is not None and pipeline_of(made) is not None
    assert found.saves_s.value == pytest.approx(4.0)
    assert found.speedup.value == pytest.approx(8.5 / 4.5)
    now = pipeline_of(made)
    assert now is not None and epoch_s(now) == pytest.approx(9.5)


@pytest.mark.parametrize(
    ("input_s", "computing_s"),
    [
        # real − replay, of a step of 50 ms that waits 33 and computes 17; an error of 1 ms ÷ 2.57
        (
            Interval(0.0355, 0.0345, 0.0365),
            [0.017 - 0.0025**3 / (0.0025**2 + (0.001 / 2.57) ** 2), 0.0155, 0.0135],
        ),
        (Interval(0.032, 0.031, 0.0325), [0.017, 0.017, 0.017]),
        (Interval(0.09, 0.08, 0.1), [0.0, 0.0, 0.0]),
        (None, [0.017, 0.017, 0.017]),
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_computing_is_what_it_takes_with_its_batches_there(
    input_s: Interval | None, computing_s: list[float], workers: int
) -> None:
    """After a wait it takes longer, and that goes with the wait; a pipeline left alone stays as measured."""
    made = attributed(replace(WORKERS, num_workers=workers), waiting=3.3, compute=1.7)
    assert made.attribution is not None
    costs = {} if input_s is None else {"input": input_s}
    made = replace(made, attribution=replace(made.attribution, differential_s=costs))
    found = [pipeline_of(made, end) for end in ENDS]
    assert [one.compute_s for one in found if one is not None] == pytest.approx(computing_s)
    assert [step_s(one) for one in found if one is not None] == pytest.approx([0.05] * 3)


def test_arms_say_nothing_of_computing_where_nothing_is_waited_for() -> None:
    """Under a twentieth of the step they differ by chance as much."""
    made = attributed(waiting=0.2, compute=4.8)
    assert made.attribution is not None
    costs = {"input": Interval(0.01, 0.008, 0.012)}
    found = pipeline_of(replace(made, attribution=replace(made.attribution, differential_s=costs)))
    assert found is not None and found.compute_s == pytest.approx(0.048)
