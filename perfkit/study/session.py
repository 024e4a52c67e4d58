"""Running a study to its end, whatever it studies: plan, execute, store the Document, again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from perfkit.document import Document
from perfkit.engine.plan import GenerationPlan
from perfkit.engine.results import GenerationResult
from perfkit.study.rows import Averages


class Engine(Protocol):
    """What runs a plan: the engine's executor, or a test's with exact numbers."""

    @property
    def unfinished(self) -> GenerationResult | None:
        """What an interrupted generation left that counts; None where there is nothing."""

    def run(self, plan: GenerationPlan) -> GenerationResult:
        """Run one generation."""


class Plan(Protocol):
    """What a study runs. All it decides comes from the results so far, so that it can be gone on with."""

    @property
    def total(self) -> int | None:
        """How many generations there will be; None where time decides."""

    def next(self, results: Sequence[GenerationResult], left_s: float) -> GenerationPlan | None:
        """Return the next generation, or None when the study is over.

        Args:
            results: finished generations, in order.
            left_s: seconds of the budget that are left.
        """


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a study has measured so far."""

    results: Sequence[GenerationResult]
    """Finished generations, in order."""
    elapsed_s: float
    """What the study has taken, earlier commands included."""
    complete: bool
    """Whether it has come to its end."""
    telemetry: Averages
    """Over the measured blocks, by row."""


class Answer(Protocol):
    """What a study says of its results."""

    def __call__(self, study: Measured) -> Document:
        """Return the Document."""


@dataclass
class Session:
    """One study on its way.

    Args:
        clock: monotonic seconds; the budget runs from `began_s` on it.
        save: gets the Document after every generation.
        averages: telemetry averaged over the measured blocks of every row, from the results so far.
    """

    plan: Plan
    answer: Answer
    engine: Engine
    budget_s: float
    clock: Callable[[], float]
    began_s: float
    save: Callable[[Document], None]
    averages: Callable[[Sequence[GenerationResult]], Averages]
    results: list[GenerationResult] = field(default_factory=list)
    interrupted: bool = False
    _earlier_s: float = 0.0
    """What earlier commands spent on this study."""

    def run(self) -> Document:
        """Run until the plan has no more; on Ctrl-C what was measured is the answer.

        Returns:
            The Document, also saved; `complete` is False when it was interrupted.
        """
        self._earlier_s = sum(result.cost_s for result in self.results)
        try:
            while True:
                plan = self.plan.next(self.results, self.budget_s - self._elapsed_s())
                if plan is None:
                    break
                self.results.append(self.engine.run(plan))
                self.save(self.document(complete=False))
        except KeyboardInterrupt:
            self.interrupted = True
        document = self.document(complete=not self.interrupted)
        self.save(document)
        return document

    def document(self, *, complete: bool) -> Document:
        """Build the Document from the results so far, and from what an interrupted generation left."""
        unfinished = self.engine.unfinished if self.interrupted else None
        results = self.results if unfinished is None else [*self.results, unfinished]
        measured = Measured(
            results=results,
            elapsed_s=self._elapsed_s(),
            complete=complete,
            telemetry=self.averages(results),
        )
        return self.answer(measured)

    def _elapsed_s(self) -> float:
        return self._earlier_s + self.clock() - self.began_s
