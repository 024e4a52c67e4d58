"""Whole studies on exact numbers: a fake engine with its own clock in place of processes."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest
from fake_engine import FakeEngine, row

from perfkit.config import RunConfig
from perfkit.document import Document
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.results import GenerationResult
from perfkit.study.bench import BenchPlan
from perfkit.study.session import Frame, Session

FP32, AMP = "convnext/fp32", "convnext/amp"


def study(
    engine: Any, keys: Sequence[str], budget_s: float = 120.0, **plan: Any
) -> tuple[Session, list[Document]]:
    saved: list[Document] = []
    planned: tuple[RowPlan, ...] = tuple(row(key) for key in keys)
    session = Session(
        plan=BenchPlan(rows=planned, **plan),
        executor=engine,
        frame=Frame(
            command="perfkit bench",
            environment={"cores_usable": 2},
            base=RunConfig(arch="convnext"),
            budget_s=budget_s,
        ),
        clock=engine.clock,
        began_s=0.0,
        save=saved.append,
        averages=lambda results: {},
    )
    return session, saved


def test_speedup_is_the_ratio_of_epochs() -> None:
    """Two rows whose steps differ by a factor come out with exactly that factor, and are judged."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08})
    session, _ = study(engine, [FP32, AMP])
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
    session, _ = study(engine, [FP32, AMP])
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
    session, saved = study(engine, [FP32, AMP], budget_s=120)
    document = session.run()
    assert engine.now_s <= 120
    assert 4 <= document.rows[0].generations <= 14
    assert len(saved) == len(engine.plans) + 1
    assert [d.complete for d in saved] == [False] * len(engine.plans) + [True]


def test_too_small_a_budget_says_what_would_do() -> None:
    """Fewer than four generations give no verdict but a warning that names the flag."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08})
    session, _ = study(engine, [FP32, AMP], budget_s=25)
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
        session, _ = study(engine, [FP32, AMP])
        speedup = session.run().rows[1].speedup
        assert speedup is not None
        wrong += speedup.outcome in ("faster", "slower")
    assert wrong <= 8


def test_pinned_generations_are_run_whatever_the_budget() -> None:
    """--generations decides alone."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08})
    session, _ = study(engine, [FP32, AMP], budget_s=1, generations=5, steps=7)
    assert session.run().rows[0].generations == 5
    assert all(plan.steps == 7 for plan in engine.plans)


def test_a_failed_row_is_a_row_and_the_others_go_on() -> None:
    """A row that fails is not started again; the others are measured to the end."""
    keys = [FP32, AMP, "baseline/fp32"]
    engine = FakeEngine(dict.fromkeys(keys, 0.1), fails={(AMP, 1): "error"})
    session, _ = study(engine, keys, budget_s=180)
    rows = session.run().rows
    assert [r.status for r in rows] == ["ok", "error", "ok"]
    assert rows[1].message == "planted error"
    assert rows[1].speedup is None and rows[1].unavailable["speedup"] == "no_data"
    assert rows[2].generations >= 4
    assert all(AMP not in [r.key for r in plan.rows] for plan in engine.plans[1:])


def test_a_row_that_dies_late_keeps_what_was_measured() -> None:
    """A process killed in the third generation leaves the figures of the first two."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08}, fails={(AMP, 3): "killed"})
    session, _ = study(engine, [FP32, AMP])
    amp = session.run().rows[1]
    assert amp.status == "killed"
    assert amp.generations == 2 and amp.epoch_time_s is not None


def test_memory_that_runs_out_in_company_is_tried_alone() -> None:
    """An OOM beside others makes the group run one after another, and the row says so."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08}, fails={(AMP, 1): "oom"})
    session, _ = study(engine, [FP32, AMP])
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
    session, _ = study(engine, [FP32, AMP])
    assert session.run().rows[1].status == "oom"


def test_many_rows_run_in_groups_with_the_reference_in_each() -> None:
    """Six rows make two groups; every ratio is taken beside the reference of its own generation."""
    keys = [FP32, *(f"convnext/fp32+batch_size={2**n}" for n in range(5))]
    engine = FakeEngine(dict.fromkeys(keys, 0.1))
    session, _ = study(engine, keys, budget_s=360)
    document = session.run()
    assert {len(plan.rows) for plan in engine.plans} <= {3, 4}
    assert all(plan.rows[0].key == FP32 for plan in engine.plans)
    assert all(r.generations >= 4 for r in document.rows)


def test_losses_are_examined_once_with_the_seeds_of_the_reference() -> None:
    """Only the first generation traces losses; FP32 has the seeds that make the tolerance."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08})
    session, _ = study(engine, [FP32, AMP])
    amp = session.run().rows[1]
    assert engine.plans[0].examine_seeds == {FP32: (0, 1, 2), AMP: (0,)}
    assert all(plan.examine_seeds is None for plan in engine.plans[1:])
    assert amp.loss == pytest.approx({"distance": 0.0, "tolerance": 0.2 / 1.0}, abs=0.05)


def test_an_interrupt_keeps_what_was_measured() -> None:
    """Ctrl-C in the third generation gives a Document of two, marked incomplete."""
    engine = FakeEngine({FP32: 0.1, AMP: 0.08})

    class Interrupted:
        clock = staticmethod(engine.clock)

        def run(self, plan: GenerationPlan) -> GenerationResult:
            if plan.number == 3:
                raise KeyboardInterrupt
            return engine.run(plan)

    session, saved = study(Interrupted(), [FP32, AMP])
    document = session.run()
    assert session.interrupted and not document.complete
    assert document.rows[0].generations == 2
    assert saved[-1] == document


def test_a_resumed_study_goes_on_where_it_stood() -> None:
    """Finished generations count, and their time is taken off the budget."""
    first = FakeEngine({FP32: 0.1, AMP: 0.08})
    session, _ = study(first, [FP32, AMP], generations=2)
    session.run()
    second = FakeEngine({FP32: 0.1, AMP: 0.08})
    resumed, _ = study(second, [FP32, AMP], generations=5)
    resumed.results = list(session.results)
    document = resumed.run()
    assert document.rows[0].generations == 5
    assert [plan.number for plan in second.plans] == [3, 4, 5]
    assert not math.isnan(document.method["elapsed_s"])


def _noise(seed: int) -> Any:
    """Noise as measured: 3 % between processes, 4 % within."""
    rng = random.Random(seed)
    between: dict[tuple[str, int], float] = {}

    def factor(key: str, generation: int, block: int) -> float:
        process = between.setdefault((key, generation), rng.gauss(0, 0.02))
        return math.exp(process + rng.gauss(0, 0.04))

    return factor
