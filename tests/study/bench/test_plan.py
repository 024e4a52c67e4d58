"""What the bench plan decides from the results so far, where a row or its company fails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fake_engine import FakeEngine, bench_session, row

from perfkit.document import Document, Status
from perfkit.engine.plan import Examine, GenerationPlan
from perfkit.engine.results import GenerationResult
from perfkit.study.bench.plan import BenchPlan
from perfkit.study.budget import SAFETY
from perfkit.study.matrix import groups
from perfkit.study.rows import make_rows
from perfkit.study.start import RESERVE_S

FP32, AMP, OTHER = "convnext/fp32", "convnext/amp", "baseline/fp32"
Fails = Mapping[tuple[str, int], Status]


def carry_out(
    keys: Sequence[str], fails: Fails | None = None, budget_s: float = 120.0, **plan: Any
) -> tuple[FakeEngine, Document]:
    """Run a whole study of equally fast rows on exact numbers."""
    engine = FakeEngine(dict.fromkeys(keys, 0.1), fails=fails or {})
    session, _ = bench_session(engine, keys, budget_s, **plan)
    return engine, session.run()


def test_a_row_that_was_not_examined_yet_is_examined_later() -> None:
    """Of a row whose first process ran out of memory in company, losses are traced when it runs alone."""
    engine, document = carry_out([FP32, AMP], {(AMP, 1): "oom"})
    assert [plan.examine is not None for plan in engine.plans[:3]] == [True, True, False]
    assert document.rows[1].loss["distance"] == pytest.approx(0)
    assert document.rows[1].flops_per_sample == 10


def test_tolerance_does_not_depend_on_the_grouping() -> None:
    """An FP32 row that is held against from another group is perturbed for it."""
    archs = ("convnext", "baseline", "tiny")
    keys = [f"{arch}/{precision}" for arch in archs for precision in ("fp32", "amp")]
    engine, document = carry_out(keys, budget_s=360)
    (group_of_twin,) = {p.group for p in engine.plans if OTHER in [r.key for r in p.rows]}
    (group_of_row,) = {p.group for p in engine.plans if "baseline/amp" in [r.key for r in p.rows]}
    assert group_of_twin != group_of_row
    tolerances = [row.loss.get("tolerance") for row in document.rows]
    assert tolerances == [None, pytest.approx(40 * 2.0**-8)] * 3


def test_losses_are_of_the_seed_and_of_every_precision() -> None:
    """FP32's own arithmetic is perturbed as much as each of the rows that are held against it rounds."""
    tf32, compiled = "convnext/tf32", "convnext/fp32+compile"
    engine, _ = carry_out([FP32, AMP, tf32, compiled], seed=7)
    assert engine.plans[0].examine == {
        FP32: Examine(seed=7, perturbations=(2.0**-24, 2.0**-11, 2.0**-8)),
        **{key: Examine(seed=7) for key in (AMP, tf32, compiled)},
    }


def test_many_groups_do_not_overrun_a_tiny_budget() -> None:
    """The first generation of all is run; a group that there is no time for is not, and a warning says so."""
    keys = [f"w{n}/{precision}" for n in range(8) for precision in ("fp32", "amp")]
    engine, document = carry_out(keys, budget_s=26.0)
    assert [plan.group for plan in engine.plans] == [0]
    assert engine.now_s <= 26.0
    rows = len(engine.plans[0].rows)
    assert {r.message for r in document.rows[rows:]} == {"not run: the study ended before its turn"}
    (warning,) = document.warnings
    cost_s, left_out = engine.now_s, len(groups(tuple(map(row, keys)))) - 1
    needed_s = math.ceil((4 * (1 + left_out) * cost_s * SAFETY + RESERVE_S) / 10) * 10
    assert warning.text == (
        f"26 s were enough for 1 generation of {rows} of 16 rows, and 4 are needed for an interval:"
        f" try --time-budget {needed_s}"
    )


def test_groups_that_fit_are_all_run() -> None:
    """Each once before any is run again; pinned generations are run whatever the budget is."""
    keys = [f"w{n}/{precision}" for n in range(4) for precision in ("fp32", "amp")]
    engine, document = carry_out(keys, budget_s=80.0)
    number = len(groups(tuple(map(row, keys))))
    assert [plan.group for plan in engine.plans[:number]] == list(range(number))
    assert engine.now_s <= 80.0 and all(r.status == "ok" for r in document.rows)
    engine, _ = carry_out(keys, budget_s=1.0, generations=1)
    assert [plan.group for plan in engine.plans] == list(range(number))


def test_a_generation_that_would_overrun_the_budget_is_not_started() -> None:
    """But for the study's first: a row without any figure is worth more than the minute."""
    rows = tuple(map(row, (FP32, AMP)))
    plan = BenchPlan(rows=rows)
    first = plan.next([], 0.5)
    assert first is not None and first.spare_s == 0
    result = FakeEngine({FP32: 0.1, AMP: 0.1}).run(first)
    # a start of 5 s, and 4 s for the one palindrome that it needs at least
    assert plan.next([result], SAFETY * 9 - 0.01) is None
    another = plan.next([result], SAFETY * 9 + 0.01)
    assert another is not None and another.palindromes == 1
    assert another.spare_s == pytest.approx(0.01)


def test_a_failed_generation_is_not_repeated_beyond_the_budget() -> None:
    """What failed in company is tried alone only if as long a generation fits again."""
    result = _result(1, {FP32: "ok", AMP: "oom"})
    plan = BenchPlan(rows=tuple(map(row, (FP32, AMP))))
    assert plan.next([result], SAFETY * result.cost_s - 0.01) is None
    alone = plan.next([result], SAFETY * result.cost_s + 0.01)
    assert alone is not None and not alone.side_by_side


def test_a_real_epoch_that_outlasts_the_timeout_is_not_run_again() -> None:
    """It would hold the machine as long in every generation, for nothing."""
    plan = BenchPlan(rows=(row(FP32),), full_epoch=True, generations=3)
    first = plan.next([], 100.0)
    assert first is not None and first.full_epoch
    result = FakeEngine({FP32: 0.1}).run(first)
    late = replace(
        result.processes[0], lost={"full_epoch": "late"}, unavailable={"full_epoch": "timeout"}
    )
    second = plan.next([replace(result, processes=(late,))], 100.0)
    assert second is not None and not second.full_epoch


@pytest.mark.parametrize("status", ["error", "unsupported", "timeout", "nan_loss"])
@pytest.mark.parametrize("generation", [1, 3])
def test_a_failed_row_is_no_reason_for_a_larger_budget(status: Status, generation: int) -> None:
    """Nobody is told to give more time where the rows that can run had enough."""
    _, document = carry_out([FP32, AMP, OTHER], {(AMP, generation): status}, budget_s=180)
    assert [r.status for r in document.rows] == ["ok", status, "ok"]
    assert document.rows[2].generations >= 4
    assert [w.code for w in document.warnings] == []


def test_a_failed_row_does_not_hide_that_the_budget_was_too_small() -> None:
    """Where the others had fewer than four generations, what would do is still said."""
    _, document = carry_out([FP32, AMP, OTHER], {(AMP, 1): "error"}, budget_s=30)
    assert 0 < document.rows[0].generations < 4
    (warning,) = document.warnings
    assert warning.code == "too_few_generations" and "--time-budget" in warning.text


def test_memory_that_runs_out_late_and_alone_is_told() -> None:
    """A single row has no company to blame: what it had measured stays, and its status is oom."""
    _, document = carry_out([FP32], {(FP32, 3): "oom"})
    (only,) = document.rows
    assert (only.status, only.generations) == ("oom", 2)


def test_memory_that_runs_out_late_in_company_is_no_failure() -> None:
    """Figures of earlier generations stand until the row has been tried alone."""
    results = [_result(1, {FP32: "ok", AMP: "ok"}), _result(2, {FP32: "ok", AMP: "oom"})]
    rows = make_rows([row(FP32), row(AMP)], results, {})
    assert [r.status for r in rows] == ["ok", "ok"]


def test_a_reference_that_fails_leaves_the_others_measured() -> None:
    """Without a reference there is no speed-up, and the epochs of the other rows are still forecast."""
    _, document = carry_out([FP32, AMP], {(FP32, 1): "error"})
    reference, amp = document.rows
    assert (reference.status, reference.epoch_time_s) == ("error", None)
    assert amp.epoch_time_s is not None and amp.epoch_time_s.low is not None
    assert (amp.speedup, amp.unavailable["speedup"]) == (None, "no_data")


def test_nothing_left_to_run_ends_the_study() -> None:
    """When every row has failed for good nothing more is started, however much time is left."""
    engine, document = carry_out([FP32, AMP], {(FP32, 1): "error", (AMP, 1): "killed"})
    assert len(engine.plans) == 1
    assert [r.status for r in document.rows] == ["error", "killed"]
    assert document.complete


def test_sequential_rounds_say_so_and_alternate() -> None:
    """--sequential runs one process at a time, every other round in reverse."""
    engine, document = carry_out([FP32, AMP], side_by_side=False)
    assert [plan.reverse for plan in engine.plans[:4]] == [False, True, False, True]
    assert [n.code for n in document.rows[1].notes] == ["sequential"]
    assert document.method["side_by_side"] is False


def _result(number: int, statuses: Mapping[str, Status]) -> GenerationResult:
    rows = tuple(map(row, statuses))
    fails = {(key, number): status for key, status in statuses.items() if status != "ok"}
    engine = FakeEngine(dict.fromkeys(statuses, 0.1), fails=fails)
    return engine.run(GenerationPlan(number=number, group=0, rows=rows))
