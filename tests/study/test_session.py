"""A session runs any plan to its end and gives any answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fake_engine import FakeEngine, row

from perfkit.document import Document
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.results import GenerationResult
from perfkit.study.session import Measured, Session

ONLY = "tiny/fp32"


@dataclass
class Twice:
    """A plan that is nobody's: two generations, if the budget holds them."""

    rows: tuple[RowPlan, ...] = (row(ONLY),)
    total: int | None = 2
    asked: list[float] = field(default_factory=list)

    def next(self, results: Sequence[GenerationResult], left_s: float) -> GenerationPlan | None:
        self.asked.append(left_s)
        if len(results) >= 2 or left_s <= 0:
            return None
        return GenerationPlan(number=len(results) + 1, group=0, rows=self.rows, palindromes=1)


def told(study: Measured) -> Document:
    """An answer that is nobody's: what it was given."""
    method = {
        "seen": len(study.results),
        "elapsed_s": study.elapsed_s,
        "telemetry": sorted(study.telemetry),
    }
    return Document(
        kind="other", command="", created="", environment={}, base={}, method=method,
        complete=study.complete,
    )  # fmt: skip


def session(engine: FakeEngine, plan: Twice, budget_s: float = 100.0) -> tuple[Session, list[Any]]:
    saved: list[Document] = []
    made = Session(
        plan=plan,
        answer=told,
        engine=engine,
        budget_s=budget_s,
        clock=engine.clock,
        began_s=0.0,
        save=saved.append,
        averages=lambda results: {ONLY: ({}, {})},
    )
    return made, saved


def test_it_runs_what_is_planned_and_says_what_is_answered() -> None:
    """A Document after each generation and one at the end, of whatever kind the answer makes."""
    plan = Twice()
    made, saved = session(FakeEngine({ONLY: 0.1}), plan)
    document = made.run()
    assert (document.kind, document.complete) == ("other", True)
    assert document.method == {"seen": 2, "elapsed_s": 14.0, "telemetry": [ONLY]}
    assert [d.method["seen"] for d in saved] == [1, 2, 2]
    assert [d.complete for d in saved] == [False, False, True]
    assert plan.asked == [100.0, 93.0, 86.0], "a generation takes 5 s and two blocks"


def test_what_earlier_commands_spent_is_off_the_budget() -> None:
    """A study that goes on has as much time left as it had."""
    first, _ = session(FakeEngine({ONLY: 0.1}, interrupt_in=2), Twice())
    assert first.run().complete is False and first.interrupted
    plan = Twice()
    second, _ = session(FakeEngine({ONLY: 0.1}), plan)
    second.results = list(first.results)
    assert second.run().method["elapsed_s"] == 14.0
    assert plan.asked == [93.0, 86.0]
