"""Whole studies on exact numbers: a fake engine with its own clock in place of processes."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from fake_engine import FakeEngine, bench_session

from perfkit.engine.plan import Examine
from perfkit.stats import CONFIDENCE, EARLY_END_CONFIDENCE, mean_interval, ratio_interval

FP32, AMP = "convnext/fp32", "convnext/amp"


def test_speedup_is_the_ratio_of_epochs() -> None:
    """Two rows whose steps differ by a factor come out with exactly that factor, and are judged."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08})
    session, _ = bench_session(engine, [FP32, AMP])
    document = session.run()
    reference, amp = document.rows
    assert reference.speedup is not None and reference.speedup.outcome == "reference"
    assert amp.speedup is not None and amp.speedup.outcome == "faster"
    assert amp.speedup.value == pytest.approx(1.25)
    # 160 samples in batches of 16: ten steps
    assert amp.epoch_time_s is not None and amp.epoch_time_s.value == pytest.approx(0.8)
    assert amp.samples_per_sec == pytest.approx(16 / 0.08)
    assert amp.memory_ratio == 1.0


def test_an_epoch_is_the_sum_of_its_parts() -> None:
    """Start of the epoch and evaluation are in the forecast, and dilute the speed-up of the steps."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.05}, epoch_start_s=0.2, evaluation_s=0.3)
    session, _ = bench_session(engine, [FP32, AMP])
    rows = session.run().rows
    assert rows[0].epoch_parts_s == pytest.approx(
        {"steps": 1.0, "epoch_start": 0.2, "evaluation": 0.3}
    )
    assert rows[1].speedup is not None and rows[1].step_speedup is not None
    assert rows[1].speedup.value == pytest.approx(1.5 / 1.0)
    assert rows[1].step_speedup.value == pytest.approx(2.0)


def test_the_budget_is_kept() -> None:
    """A study ends before its time budget does, with as many generations as fit."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08}, noise=_noise(1))
    session, saved = bench_session(engine, [FP32, AMP], budget_s=120)
    document = session.run()
    assert engine.now_s <= 120
    assert 4 <= document.rows[0].generations <= 14
    assert document.method["elapsed_s"] == engine.now_s
    assert len(saved) == len(engine.plans) + 1
    assert [d.complete for d in saved] == [False] * len(engine.plans) + [True]


def test_too_small_a_budget_says_what_would_do() -> None:
    """Fewer than four generations give no verdict but a warning that names the flag."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08})
    session, _ = bench_session(engine, [FP32, AMP], budget_s=25)
    document = session.run()
    assert document.rows[1].speedup is not None
    assert document.rows[1].speedup.outcome == "inconclusive"
    (warning,) = [w for w in document.warnings if w.code == "too_few_generations"]
    assert "--time-budget" in warning.text


def test_identical_rows_are_not_told_apart() -> None:
    """Noise alone is called faster or slower in about one study of twenty."""
    wrong = 0
    for seed in range(60):
        engine = FakeEngine({FP32: 0.1, AMP: 0.1}, noise=_noise(seed))
        session, _ = bench_session(engine, [FP32, AMP])
        speedup = session.run().rows[1].speedup
        assert speedup is not None
        wrong += speedup.outcome in ("faster", "slower")
    assert wrong <= 8


def test_pinned_generations_are_run_whatever_the_budget() -> None:
    """--generations decides alone."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08})
    session, _ = bench_session(engine, [FP32, AMP], budget_s=1, generations=5, steps=7)
    assert session.run().rows[0].generations == 5
    assert all(plan.steps == 7 for plan in engine.plans)


def test_a_failed_row_is_a_row_and_the_others_go_on() -> None:
    """A row that fails is not started again; the others are measured to the end."""
    keys = [FP32, AMP, "baseline/fp32"]
    engine = FakeEngine(dict.fromkeys(keys, 0.1), fails={(AMP, 1): "error"})
    session, _ = bench_session(engine, keys, budget_s=180)
    rows = session.run().rows
    assert [r.status for r in rows] == ["ok", "error", "ok"]
    assert rows[1].message == "planted error"
    assert rows[1].speedup is None and rows[1].unavailable["speedup"] == "no_data"
    assert rows[2].generations >= 4
    assert all(AMP not in [r.key for r in plan.rows] for plan in engine.plans[1:])


def test_a_row_that_dies_late_keeps_what_was_measured() -> None:
    """A process killed in the third generation leaves the figures of the first two."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08}, fails={(AMP, 3): "killed"})
    session, _ = bench_session(engine, [FP32, AMP])
    amp = session.run().rows[1]
    assert amp.status == "killed"
    assert amp.generations == 2 and amp.epoch_time_s is not None


def test_memory_that_runs_out_in_company_is_tried_alone() -> None:
    """An OOM beside others makes the group run one after another, and the row says so."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08}, fails={(AMP, 1): "oom"})
    session, _ = bench_session(engine, [FP32, AMP])
    amp = session.run().rows[1]
    assert amp.status == "ok"
    assert [n.code for n in amp.notes] == ["sequential"]
    later = engine.plans[1:]
    assert not any(plan.side_by_side for plan in later)
    assert [plan.reverse for plan in later[:3]] == [True, False, True]


def test_memory_that_runs_out_alone_is_oom() -> None:
    """An OOM of a row on its own is the row's status."""
    fails = {(AMP, 1): "oom", (AMP, -2): "oom", (AMP, 2): "oom"}
    engine = FakeEngine({FP32: 0.1, AMP: 0.08}, fails=fails)  # type: ignore[arg-type]
    session, _ = bench_session(engine, [FP32, AMP])
    assert session.run().rows[1].status == "oom"


def test_many_rows_run_in_groups_with_the_reference_in_each() -> None:
    """Six rows make two groups; every ratio is taken beside the reference of its own generation."""
    keys = [FP32, *(f"convnext/fp32+batch_size={2**n}" for n in range(5))]
    engine = FakeEngine(dict.fromkeys(keys, 0.1))
    session, _ = bench_session(engine, keys, budget_s=360)
    document = session.run()
    assert {len(plan.rows) for plan in engine.plans} <= {3, 4}
    assert all(plan.rows[0].key == FP32 for plan in engine.plans)
    assert all(r.generations >= 4 for r in document.rows)


@pytest.mark.parametrize(("shift", "said"), [(0.15, False), (0.16, True)])
def test_losses_are_held_against_fp32s_own_rounded_as_much(shift: float, said: bool) -> None:
    """Four times what errors of bfloat16's size do to FP32's losses: 4 × 10 × 2⁻⁸, 15.6 %."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08}, loss_shift={AMP: shift})
    session, _ = bench_session(engine, [FP32, AMP])
    reference, amp = session.run().rows
    assert engine.plans[0].examine == {
        FP32: Examine(seed=0, perturbations=(2.0**-8,)),
        AMP: Examine(seed=0),
    }
    assert all(plan.examine is None for plan in engine.plans[1:])
    assert amp.loss == pytest.approx({"distance": shift, "tolerance": 4 * 10 * 2.0**-8})
    assert reference.loss == {}
    assert ("loss_differs" in [note.code for note in amp.notes]) == said


def test_an_interrupt_keeps_what_was_measured() -> None:
    """Ctrl-C in the third generation gives a Document of two, marked incomplete."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08}, interrupt_in=3)
    session, saved = bench_session(engine, [FP32, AMP])
    document = session.run()
    assert session.interrupted and not document.complete
    assert document.rows[0].generations == 2
    assert saved[-1] == document


def test_a_resumed_study_goes_on_where_it_stood() -> None:
    """Finished generations count, and their time is taken off the budget."""
    first = FakeEngine({FP32: 0.1, AMP: 0.08})
    session, _ = bench_session(first, [FP32, AMP], generations=2)
    session.run()
    second = FakeEngine({FP32: 0.1, AMP: 0.08})
    resumed, _ = bench_session(second, [FP32, AMP], generations=5)
    resumed.results = list(session.results)
    document = resumed.run()
    assert document.rows[0].generations == 5
    assert [plan.number for plan in second.plans] == [3, 4, 5]
    assert not math.isnan(document.method["elapsed_s"])


@pytest.mark.parametrize("true", [1.23, 1 / 1.23])
def test_a_large_effect_ends_the_study_early(true: float) -> None:
    """1.23× is settled by the fourth generation in quiet, and in noise long before the budget is spent."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.1 / true})
    session, _ = bench_session(engine, [FP32, AMP], budget_s=600)
    document = session.run()
    assert (document.rows[1].generations, document.method["ended_early"]) == (4, True)
    taken = []
    for seed in range(10):
        engine = FakeEngine({FP32: 0.1, AMP: 0.1 / true}, noise=_noise(seed))
        session, _ = bench_session(engine, [FP32, AMP], budget_s=600)
        document = session.run()
        judged = document.rows[1].speedup
        assert judged is not None
        assert judged.outcome == ("faster" if true > 1 else "slower")
        taken.append(engine.now_s)
    assert max(taken) < 300


def test_an_effect_that_is_not_settled_takes_the_whole_budget() -> None:
    """Noise of which 2 % is not reached ends when the next generation would overrun the time."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.1}, noise=_noise(3))
    session, _ = bench_session(engine, [FP32, AMP], budget_s=100)
    document = session.run()
    assert document.method["ended_early"] is False
    assert 100 - 25 < engine.now_s <= 100


def test_intervals_say_which_quantile_they_have() -> None:
    """A study of a pinned length keeps that of 95 %; one that may end early has a higher one."""
    for generations, quantile in ((4, CONFIDENCE), (None, EARLY_END_CONFIDENCE)):
        engine = FakeEngine({FP32: 0.1, AMP: 0.08}, noise=_noise(1))
        session, _ = bench_session(engine, [FP32, AMP], budget_s=60, generations=generations)
        document = session.run()
        judged = document.rows[1].speedup
        logs = [math.log(ratio) for ratio in document.rows[1].generation_speedup]
        expected = ratio_interval(logs, quantile)
        assert judged is not None and (judged.low, judged.high) == (expected.low, expected.high)
        epoch = document.rows[1].epoch_time_s
        assert epoch == mean_interval(document.rows[1].generation_epoch_time_s, quantile)
        assert document.method["quantile"] == quantile
        said = document.method["interval"]
        assert said.startswith("95 %, Student's t over generations")
        assert (f"at its {100 * quantile:g} % quantile" in said) == (generations is None)


def test_a_row_alone_ends_when_its_epoch_is_known() -> None:
    """Without anybody to compare with, the width of the epoch's own time decides."""
    engine = FakeEngine({FP32: 0.1})
    session, _ = bench_session(engine, [FP32], budget_s=600)
    assert session.run().rows[0].generations == 4
    engine = FakeEngine({FP32: 0.1}, noise=lambda key, generation, block: 1 + generation % 2)
    session, _ = bench_session(engine, [FP32], budget_s=120)
    assert session.run().method["ended_early"] is False


def test_every_second_generation_of_a_group_runs_in_reverse() -> None:
    """Whatever favours the first place in the order favours each end of it in turn, in every group."""
    keys = [FP32, *(f"convnext/fp32+batch_size={2**n}" for n in range(5))]
    engine = FakeEngine(dict.fromkeys(keys, 0.1))
    session, _ = bench_session(engine, keys, budget_s=360)
    session.run()
    for group in (0, 1):
        orders = [plan.reverse for plan in engine.plans if plan.group == group]
        assert len(orders) >= 4 and orders == [n % 2 == 1 for n in range(len(orders))]


def test_parts_that_are_lost_leave_the_row_measured() -> None:
    """Without its evaluation a row has no epoch, and its steps are measured and compared."""
    loses = {(AMP, n): ["evaluation"] for n in range(1, 20)}
    engine = FakeEngine({FP32: 0.1, AMP: 0.08}, loses=loses)
    session, _ = bench_session(engine, [FP32, AMP])
    document = session.run()
    amp = document.rows[1]
    assert (amp.status, amp.epoch_time_s, amp.speedup) == ("ok", None, None)
    assert amp.step_speedup is not None and amp.step_speedup.value == pytest.approx(1.25)
    assert amp.samples_per_sec == pytest.approx(200)
    assert amp.generations == 4, "its steps settle it"
    assert amp.unavailable["epoch_time_s"] == amp.unavailable["speedup"] == "failed"
    (note,) = [n for n in amp.notes if n.code == "part_lost"]
    assert "the evaluation could not be measured: RuntimeError: planted evaluation" in note.text


def test_examining_that_fails_is_tried_twice() -> None:
    """A process lost over its losses is not sent into them in every generation."""
    loses = {(AMP, n): ["examine"] for n in range(1, 20)}
    engine = FakeEngine({FP32: 0.1, AMP: 0.08}, loses=loses)
    session, _ = bench_session(engine, [FP32, AMP], generations=5)
    amp = session.run().rows[1]
    assert [plan.examine is not None for plan in engine.plans] == [True, True, False, False, False]
    assert (amp.flops_per_sample, amp.unavailable["flops_per_sample"]) == (None, "failed")


def _noise(seed: int) -> Any:
    """Noise as measured: 3 % between processes, 4 % within."""
    rng = random.Random(seed)
    between: dict[tuple[str, int], float] = {}

    def factor(key: str, generation: int, block: int) -> float:
        process = between.setdefault((key, generation), rng.gauss(0, 0.02))
        return math.exp(process + rng.gauss(0, 0.04))

    return factor
