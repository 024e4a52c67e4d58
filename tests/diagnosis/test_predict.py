"""The pipeline model: anchored in what was measured, and exact on numbers made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import evidence
from pipelines import STEPS, WORKERS, attributed, pipeline

from perfkit.diagnosis.predict import HANDOVER_S, Pipeline, epoch_s, pipeline_of, predict, step_s
from perfkit.stats import Interval

ALONE = replace(WORKERS, num_workers=0)


def with_workers(workers: int):
    """The effect of a number of workers."""
    return lambda pipeline: replace(pipeline, workers=workers)


def halved(pipeline: Pipeline) -> Pipeline:
    """The effect of half the computing."""
    return replace(pipeline, compute_s=pipeline.compute_s / 2)


def test_now_is_what_was_measured() -> None:
    """Step and epoch of the model are those of the attribution, with every part in its place."""
    made = attributed(
        waiting=3.0, compute=5.0, contention=1.0, h2d=0.5, transfer=0.5, startup=2.0,
        eval=1.0, other=0.25, tasks={"metrics": 0.5, "visualisation": 0.25},
        row={"loader": {"fetch_s": 0.08, "fetch_cpu_s": 0.03, "collate_s": 0.01}},
    )  # fmt: skip
    now = pipeline(made)
    assert step_s(now) == pytest.approx(0.1)
    assert epoch_s(now) == pytest.approx(14.0)
    assert (now.blocked_s, now.cpu_s) == (pytest.approx(0.05), pytest.approx(0.04))
    assert now.contention_s == pytest.approx(0.01 * 0.1 / 0.07)
    assert now.periodic["metrics"].every == 10
    assert now.periodic["metrics"].run_s == pytest.approx(5.0)
    assert now.start_s == 2.0 and now.once_s == 0.0
    assert now.rest_s == pytest.approx(0.25)


def test_partial_batches_and_one_time_costs() -> None:
    """A partial batch counts by its samples; what starting costs beyond each epoch's start is once."""
    config = replace(WORKERS, num_samples=STEPS * 16 + 8, epochs=10)
    parts = {"steps": 10.0, "partial_batch": 0.05, "epoch_start": 0.5}
    made = attributed(config, compute=10.05, startup=1.5, row={"epoch_parts_s": parts})
    now = pipeline(made)
    assert now.batches == 100.5
    assert step_s(now) == pytest.approx(0.1)
    assert (now.start_s, now.once_s) == (0.5, pytest.approx(10.0))


def test_needs_an_attribution() -> None:
    """Without one, or without whole steps, there is no pipeline and no prediction."""
    bare = evidence()
    assert pipeline_of(bare) is None
    assert predict(bare, ()) is None


def test_workers_hide_a_blocked_loader() -> None:
    """Production of 100 ms by one worker beside 40 ms of training: two halve the step, three end the wait."""
    made = attributed(
        waiting=6.0, compute=4.0, row={"loader": {"fetch_s": 0.1, "fetch_cpu_s": 0.0}}
    )
    now = pipeline(made)
    steps = [step_s(replace(now, workers=n)) for n in (1, 2, 3, 4)]
    assert steps == [pytest.approx(s) for s in (0.1, 0.05, 0.04, 0.04)]
    found = predict(made, [with_workers(2)])
    assert found is not None
    assert found.saves_s.value == pytest.approx(5.0) and found.saves_s.low is None
    assert found.speedup.value == pytest.approx(2.0)


def test_cores_bound_what_workers_compute() -> None:
    """80 ms of decoding and 20 ms of training on two cores: 50 ms a step, however many workers."""
    made = attributed(
        replace(WORKERS, num_threads=1),
        cores=2,
        waiting=6.0,
        compute=2.0,
        row={"loader": {"fetch_s": 0.08}},
    )
    now = pipeline(made)
    steps = [step_s(replace(now, workers=n)) for n in (1, 2, 4)]
    assert steps == [pytest.approx(s) for s in (0.08, 0.05, 0.05)]


def test_without_workers_production_is_serial() -> None:
    """What is waited is production; a worker hides it behind the training, for the price of handing over."""
    made = attributed(ALONE, waiting=6.0, compute=4.0)
    now = pipeline(made)
    assert now.production_s == pytest.approx(0.06)
    assert step_s(now) == pytest.approx(0.1)
    assert step_s(replace(now, workers=1)) == pytest.approx(0.06)
    assert step_s(replace(now, workers=2)) == pytest.approx(0.04 + HANDOVER_S["value"])


def test_contention_grows_as_waiting_ends() -> None:
    """10 ms taken in a step that waits half of its time are 20 ms once it waits for nothing."""
    made = attributed(
        waiting=5.0, compute=4.0, contention=1.0, row={"loader": {"fetch_s": 0.1}}, cores=None
    )
    assert step_s(replace(pipeline(made), workers=16)) == pytest.approx(0.06)


def test_a_deeper_queue_hides_stalls() -> None:
    """A stall of 0.6 s every ten batches, steps of 40 ms: sixteen more batches hide it, five a third."""
    waits = ((0.6, *(0.0,) * 9)) * 10
    made = attributed(
        waiting=6.0, compute=4.0, waits_s=waits,
        row={"loader": {"fetch_s": 0.03, "fetch_cpu_s": 0.0}},
    )  # fmt: skip
    now = pipeline(made)
    assert now.stalls_s == pytest.approx(0.06)
    assert step_s(replace(now, prefetch=7)) == pytest.approx(0.1 - 0.06 / 3)
    assert step_s(replace(now, prefetch=18)) == pytest.approx(0.04)
    # a shallower one is not predicted to help
    assert step_s(replace(now, prefetch=1)) == pytest.approx(0.1)


def test_a_deeper_queue_does_not_help_a_slow_loader() -> None:
    """Where the loader is too slow on average nothing is ever ready."""
    made = attributed(
        waiting=6.0, compute=4.0, waits_s=(0.06,) * 100, row={"loader": {"fetch_s": 0.1}}
    )
    assert step_s(replace(pipeline(made), prefetch=64)) == pytest.approx(0.1)


def test_a_faster_network_waits_longer() -> None:
    """Half the compute saves nothing behind a slow loader, and all of it beside a fast one."""
    slow = attributed(waiting=6.0, compute=4.0, row={"loader": {"fetch_s": 0.1}}, cores=None)
    fast = attributed(compute=10.0, row={"loader": {"fetch_s": 0.03}}, cores=None)

    for made, saved in ((slow, 0.0), (fast, 5.0)):
        found = predict(made, [halved])
        assert found is not None
        assert found.saves_s.value == pytest.approx(saved)


def test_two_changes_together() -> None:
    """Workers and half the compute: neither saves alone what both do together."""
    made = attributed(
        waiting=6.0, compute=4.0, row={"loader": {"fetch_s": 0.1, "fetch_cpu_s": 0.0}}
    )

    alone = predict(made, [halved]), predict(made, [with_workers(5)])
    both = predict(made, [halved, with_workers(5)])
    assert all(alone) and both is not None
    assert [p.saves_s.value for p in alone if p] == [pytest.approx(0.0), pytest.approx(6.0)]
    assert both.saves_s.value == pytest.approx(8.0)
    assert both.speedup.value == pytest.approx(5.0)


def test_intervals_are_those_of_what_is_removable() -> None:
    """Each end of the waiting gives an end of what is saved."""
    made = attributed(
        waiting=6.0,
        compute=4.0,
        removable={"waiting": Interval(6.0, 5.0, 7.0)},
        row={"loader": {"fetch_s": 0.1, "fetch_cpu_s": 0.0}},
    )
    found = predict(made, [with_workers(16)])
    assert found is not None
    saved, faster = found.saves_s, found.speedup
    assert (saved.low, saved.value, saved.high) == tuple(map(pytest.approx, (5.0, 6.0, 7.0)))
    assert (faster.low, faster.value, faster.high) == (
        pytest.approx(2.0), pytest.approx(2.5), pytest.approx(10 / 3),
    )  # fmt: skip


def test_a_bound_may_do_nothing() -> None:
    """Its low end is 1.0, beside an effect that is sure the sure one's; its high end is Amdahl's."""
    made = attributed(
        compute=8.0, eval=2.0, removable={"eval": Interval(2.0, 1.5, 2.5)}, cores=None
    )

    def gone(pipeline: Pipeline) -> Pipeline:
        return replace(pipeline, compute_s=0.0)

    def no_eval(pipeline: Pipeline) -> Pipeline:
        return replace(pipeline, evaluation=replace(pipeline.evaluation, run_s=0.0))

    bound = predict(made, [], [gone])
    assert bound is not None
    assert (bound.speedup.low, bound.speedup.high) == (1.0, pytest.approx(5.0))
    mixed = predict(made, [no_eval], [gone])
    assert mixed is not None
    assert mixed.saves_s.low == pytest.approx(1.5)


def test_everything_gone_is_still_a_number() -> None:
    """An epoch of nothing would be infinitely faster."""
    made = attributed(compute=10.0)
    found = predict(made, [], [lambda pipeline: replace(pipeline, compute_s=0.0)])
    assert found is not None and found.speedup.value == pytest.approx(1000.0)


def test_unseen_production() -> None:
    """A loader whose production was not seen is the slower side where it is waited for, else it is free."""
    waits = pipeline(attributed(waiting=6.0, compute=4.0))
    assert waits.production_s == pytest.approx(0.1)
    never = pipeline(attributed(waiting=0.1, compute=9.9))
    assert never.production_s == 0.0 and never.stalls_s == pytest.approx(0.001)
