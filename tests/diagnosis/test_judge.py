"""What the judge decides: which cause comes first, that none does, or that it cannot be told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from evidences import Plant, blocks, evidence, planted
from judgements import TRAINING, arms, judged, waiting

from perfkit.diagnosis.evidence import Dispatch
from perfkit.diagnosis.judge import judge


def test_a_queue_that_is_always_full_is_no_lack_of_workers() -> None:
    """`next()` takes 69 % of the step with its batch there: transfer, and never more workers."""
    stretches = arms(0.1, 0.03, waits=(0.069,) * 10)
    facts = {"fetch_s": 0.02, "fetch_cpu_s": 0.02, "collate_s": 0.001, "busy_share": 0.95}
    found = judged(*stretches, loader=facts, **waiting(0.069, ready=True))
    first = found.verdicts[0]
    assert (found.primary, first.stage, first.flags) == ("input_bound", "transfer", ())
    assert found.workers_needed is None


def test_contention_behind_a_small_wait() -> None:
    """Wait 17 %, a real step of 32 ms against 9 idle: the workers take more than they are late."""
    stretches = arms(0.032, 0.009, 0.0265, waits=(0.00544,) * 10, ready=0, run_delay_s=0.016)
    phases = {"waiting": 0.00544, "forward": 0.01, "backward": 0.0164}
    row = {"phases_s": phases, "epoch_parts_s": {"steps": 3.2}, "exposed_wait_s": 0.00544}
    found = judged(*stretches, **row)
    assert found.primary == "contended"
    assert [verdict.kind for verdict in found.verdicts] == ["contended", "input_bound"]
    assert found.verdicts[0].removable_s is not None
    assert found.verdicts[0].removable_s.value == pytest.approx(1.75)


def test_a_stall_every_ten_batches_is_input() -> None:
    """It upsets every block and no median; the sum of waits says what it costs."""
    stall = (0.6, *(0.0,) * 9)
    found = judged(*arms(0.1, 0.04, waits=stall, ready=0), **waiting(0.06))
    assert found.primary == "input_bound"
    first = found.verdicts[0]
    assert first.removable_s is not None and first.removable_s.value == pytest.approx(6.0)


def test_many_moderate_causes_are_not_computing() -> None:
    """Wait 18 %, periodic 14 %, startup 14 %: the largest of them, and never compute-bound."""
    parts = {"steps": 8.6, "metrics": 1.68, "epoch_start": 1.68}
    row = {**waiting(0.025, 0.086), "epoch_parts_s": parts}
    found = judged(*arms(0.086, 0.061, waits=(0.025,) * 10, ready=0), **row)
    assert found.primary == "input_bound"
    kinds = {verdict.kind for verdict in found.verdicts}
    assert kinds == {"input_bound", "periodic_bound", "startup_bound"}


def test_nothing_removable_is_computing() -> None:
    """All of a step is forward and backward, and the workers take nothing."""
    found = judged(*arms())
    assert found.primary == "compute_bound"
    assert found.verdicts[0].share.value == pytest.approx(1.0)
    assert found.actual_samples_per_sec == pytest.approx(160)
    assert found.compute_samples_per_sec == pytest.approx(160)


@pytest.mark.parametrize(("loader", "primary"), [(183.0, "balanced"), (400.0, "inconclusive")])
def test_small_causes_together(loader: float, primary: str) -> None:
    """4 % each of four causes: balanced only if neither side alone is much faster."""
    parts = {"steps": 9.0, "metrics": 0.28, "epoch_start": 0.28}
    row = {**waiting(0.0043, 0.09), "epoch_parts_s": parts, "loader": {"samples_per_sec": loader}}
    found = judged(*arms(0.09, 0.0837, waits=(0.0043,) * 10, ready=0, run_delay_s=0.0), **row)
    assert found.primary == primary


def test_loader_and_computing_that_only_together_are_slow_are_not_balanced() -> None:
    """400 a second alone, 410 alone, together 230: somebody loses, and it is not said who."""
    step_s, idle_s = 16 / 230, 16 / 410
    row = {
        "epoch_parts_s": {"steps": 100 * step_s, "metrics": 0.2, "epoch_start": 0.2},
        "phases_s": {"waiting": 0.0, "forward": 0.75 * step_s, "backward": 0.2 * step_s},
        "loader": {"samples_per_sec": 400.0},
    }
    found = judged(*arms(step_s, idle_s, idle_s + 0.001), **row)
    assert found.primary != "balanced"


@pytest.mark.parametrize(("fetch_s", "needed"), [(0.045, 2), (0.075, 3), (0.105, 4)])
def test_workers_needed_for_storage(fetch_s: float, needed: int) -> None:
    """One and a half, two and a half, three and a half times what a step takes."""
    facts = {"fetch_s": fetch_s, "fetch_cpu_s": 0.001, "busy_share": 0.99}
    config = replace(TRAINING, num_workers=1)
    stretches = arms(fetch_s, 0.03, waits=(fetch_s - 0.03,) * 10, ready=0)
    row = {**waiting(fetch_s - 0.03, fetch_s), "epoch_parts_s": {"steps": 100 * fetch_s}}
    found = judged(*stretches, config=config, loader=facts, **row)
    first = found.verdicts[0]
    assert (found.primary, first.stage, first.flags) == (
        "input_bound", "storage", ("too_few_workers",),
    )  # fmt: skip
    assert found.workers_needed == needed


def test_workers_that_compute_need_cores() -> None:
    """Decoding three times as long as a step: three workers, but two cores have room for one beside it."""
    facts = {"fetch_s": 0.09, "fetch_cpu_s": 0.09, "busy_share": 0.99}
    config = replace(TRAINING, num_workers=1)
    stretches = arms(0.09, 0.03, waits=(0.06,) * 10, ready=0)
    row = {**waiting(0.06, 0.09), "epoch_parts_s": {"steps": 9.0}, "loader": facts}
    assert judged(*stretches, config=config, cores=2, **row).workers_needed == 1
    assert judged(*stretches, config=config, cores=16, **row).workers_needed == 3
    assert judged(*stretches, config=config, cores=16, **row).verdicts[0].stage == "decode"


@pytest.mark.parametrize(
    ("share", "blames", "right"),
    [(0.6, "loader", False), (0.9, None, False), (0.99, "model", True)],
)
def test_the_naive_reading_beside_ours(share: float, blames: str | None, right: bool) -> None:
    """A training that computes: under 80 % folklore blames the loader, over 95 % the model."""
    naive = judged(*arms(), gpu_util_share=share).naive
    assert naive is not None
    assert (naive.blames, naive.is_right) == (blames, right)
    assert judged(*arms()).naive is None


def test_a_net_of_layer_norms_is_not_launch_bound_by_one_witness() -> None:
    """Two samples take long, and what dispatching was priced at is more than the step."""
    made = planted(Plant(dispatch=Dispatch(fixed_share=0.85, operators_share=1.3)), 2)
    assert judge(made).primary == "compute_bound"
    both = replace(made, dispatch=Dispatch(fixed_share=0.85, operators_share=0.8))
    assert judge(both).primary == "host_bound"


def test_slow_loading_that_is_fully_prefetched_is_not_blamed() -> None:
    """A batch takes half a second to read, and a step longer."""
    found = judge(planted(Plant(compute_s=0.6, storage_s=0.5), 1))
    assert found.primary == "compute_bound"
    assert [v.kind for v in found.verdicts] == ["compute_bound"]


def test_little_beside_computing_does_not_come_first() -> None:
    """An evaluation of 4 % is told, and is not what holds the training back; of 12 % it is."""
    little, more = (
        judged(*arms(), epoch_parts_s={"steps": 10.0, "evaluation": seconds})
        for seconds in (0.4, 1.4)
    )
    assert (little.primary, more.primary) == ("compute_bound", "periodic_bound")
    assert [v.kind for v in little.verdicts] == ["compute_bound", "periodic_bound"]
    assert [v.kind for v in more.verdicts] == ["periodic_bound"]


def test_verdicts_carry_shares_with_intervals() -> None:
    """Of what is waited, over blocks; evidence is what witnesses say."""
    uneven = [
        *blocks("real", 0.1, waits=(0.05,) * 10, ready=0, palindromes=3),
        *blocks("real", 0.1, waits=(0.07,) * 10, ready=0, palindromes=3),
    ]
    first = judged(*uneven, **waiting(0.06)).verdicts[0]
    assert first.share.value == pytest.approx(0.6) and first.seconds_per_epoch == pytest.approx(6)
    # twelve blocks, t = 2.201, standard deviation 10.4 ms
    assert first.share.low == pytest.approx(0.5336, abs=1e-3)
    assert first.removable_s is not None and first.removable_s.low == pytest.approx(5.336, abs=1e-2)
    assert first.evidence[0].startswith("The next batch was not ready at 100 % of the steps")


def test_causes_that_share_their_work_rank_by_their_own_part() -> None:
    """Decoding is waited for 17 ms and takes 55 from the training: both would go, contention comes first."""
    stretches = arms(0.1, 0.028, 0.083, waits=(0.017,) * 10, ready=0, run_delay_s=0.055)
    loader = {"fetch_s": 0.15, "fetch_cpu_s": 0.15}
    found = judged(*stretches, loader=loader, **waiting(0.017))
    own = [(v.kind, v.stage, round(v.seconds_per_epoch, 6)) for v in found.verdicts]
    assert own == [("contended", None, 5.5), ("input_bound", "decode", 1.7)]
    assert found.verdicts[1].removable_s is not None
    assert found.verdicts[1].removable_s.value == pytest.approx(7.2)


def test_without_arms_it_judges_by_waits_and_run_delay() -> None:
    """A loop that is not ours has real steps only."""
    real = blocks("real", 0.1, waits=(0.03,) * 10, ready=0, run_delay_s=0.01)
    found = judged(*real, loader={"fetch_s": 0.2, "fetch_cpu_s": 0.001}, **waiting(0.03))
    assert found.primary == "input_bound"
    # 200 ms by one worker, and a step of 70 without its wait
    assert found.workers_needed == 3
    assert (found.actual_samples_per_sec, found.compute_samples_per_sec) == (
        pytest.approx(160), None,
    )  # fmt: skip


def test_evidence_is_attributed_where_it_is_not_yet() -> None:
    """The judge needs no preparation."""
    bare = evidence(TRAINING, 8, exposed_wait_s=0.06, phases_s={"waiting": 0.06, "forward": 0.04})
    assert bare.attribution is None and judge(bare).primary == "input_bound"


def test_a_rule_without_removable_seconds_decides_nothing() -> None:
    """A throttled device is told beside what was measured on it."""
    gpu = planted(Plant(telemetry={"thermal_slowdown_share": 0.4}), 2, cores=16, cuda=True)
    found = judge(gpu)
    assert found.primary == "compute_bound"
    assert [v.kind for v in found.verdicts] == ["compute_bound", "throttled"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({}, "the device waited for batches during 0 % of the epoch only"),
        (
            waiting(0.4, 1.0) | {"epoch_parts_s": {"steps": 100.0}},
            "the device stood idle for batches during 40 % of the epoch",
        ),
        (
            {"epoch_parts_s": {"steps": 10.0, "metrics": 5.0}},
            "the time goes to work between steps, and batches were waited for during 0 % of the epoch",
        ),
    ],
)
def test_why_the_naive_reading_is_right_or_wrong(row: dict[str, Any], why: str) -> None:
    """In terms of what was measured."""
    naive = judged(gpu_util_share=0.6, cores=8, **row).naive
    assert naive is not None and naive.blames == "loader"
    assert naive.is_right is ("idle for batches" in why)
    assert naive.why.startswith(why)
