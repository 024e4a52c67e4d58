"""Running a study to its end: plan, execute, store the Document, again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol

from perfkit.codec import to_json
from perfkit.config import RunConfig
from perfkit.diagnosis import advise
from perfkit.document import Document, Note, Row
from perfkit.engine.plan import GenerationPlan
from perfkit.engine.results import GenerationResult
from perfkit.stats import MIN_GENERATIONS
from perfkit.study.bench import BenchPlan
from perfkit.study.budget import SAFETY
from perfkit.study.rows import Averages, make_rows


class Executor(Protocol):
    """What runs a plan: the engine's executor, or a test's with exact numbers."""

    def run(self, plan: GenerationPlan) -> GenerationResult:
        """Run one generation."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a Document says besides its rows."""

    command: str
    environment: dict[str, Any]
    base: RunConfig
    budget_s: float
    warnings: tuple[Note, ...] = ()
    sizes: str = ""
    """What was chosen for this machine, in words."""
    created: str = field(
        default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds")
    )


@dataclass
class Session:
    """One study on its way.

    Args:
        clock: monotonic seconds; the budget runs from `began_s` on it.
        save: gets the Document after every generation.
        averages: telemetry averaged over the measured blocks of every row, from the results so far.
    """

    plan: BenchPlan
    executor: Executor
    frame: Frame
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
                left_s = self.frame.budget_s - self._earlier_s - (self.clock() - self.began_s)
                plan = self.plan.next(self.results, left_s)
                if plan is None:
                    break
                self.results.append(self.executor.run(plan))
                self.save(self.document(complete=False))
        except KeyboardInterrupt:
            self.interrupted = True
        document = self.document(complete=not self.interrupted)
        self.save(document)
        return document

    def document(self, *, complete: bool) -> Document:
        """Build the Document from the results so far."""
        rows = make_rows(self.plan.rows, self.results, self.averages(self.results))
        reference = rows[0]
        base = to_json(self.frame.base)
        for name in ("cache_dir", "variants", "arch", "lr_batch_size"):
            base.pop(name)
        return Document(
            kind="bench",
            command=self.frame.command,
            created=self.frame.created,
            environment=self.frame.environment,
            base=base,
            rows=rows,
            findings=advise(reference, self.plan.rows[0].config, self.frame.environment),
            method=self._method(),
            warnings=(*self.frame.warnings, *self._warnings(rows, complete)),
            unavailable={"diagnosis": "not_asked"},
            complete=complete,
        )

    def _method(self) -> dict[str, Any]:
        blocks = [b for r in self.results for p in r.processes for b in p.blocks]
        return {
            "generations": len(self.results),
            "processes": sum(len(r.processes) for r in self.results),
            "palindromes": [r.palindromes for r in self.results],
            "blocks": len(blocks),
            "steps": sum(b.steps for b in blocks),
            "side_by_side": all(r.side_by_side for r in self.results),
            "budget_s": self.frame.budget_s,
            "elapsed_s": self._earlier_s + self.clock() - self.began_s,
            "interval": "95 %, Student's t over generations",
            "seed": self.plan.seed,
            "sizes": self.frame.sizes,
        }

    def _warnings(self, rows: Sequence[Row], complete: bool) -> list[Note]:
        found = []
        # a row that failed has fewer for a reason of its own
        fewest = min((row.generations for row in rows if row.status == "ok"), default=0)
        if complete and 0 < fewest < MIN_GENERATIONS and self.plan.generations is None:
            text = (
                f"{self.frame.budget_s:.0f} s were enough for {fewest}"
                f" generation{'' if fewest == 1 else 's'}, and {MIN_GENERATIONS} are needed for an"
                f" interval: try --time-budget {self._needed_s()}"
            )
            found.append(Note(code="too_few_generations", text=text))
        disturbed = sum(b.disturbed for r in self.results for p in r.processes for b in p.blocks)
        blocks = sum(len(p.blocks) for r in self.results for p in r.processes)
        if disturbed > blocks / 4:
            text = (
                f"the machine is shared: {disturbed} of {blocks} blocks ran beside somebody else's"
                " load; the intervals hold it, but run again when it is quiet"
            )
            found.append(Note(code="disturbed", text=text))
        return found

    def _finished(self, key: str) -> int:
        """How many generations a row was measured in."""
        processes = [r.process(key) for r in self.results]
        return len([p for p in processes if p is not None and p.status == "ok"])

    def _needed_s(self) -> int:
        """Seconds that enough generations would take, going by those that were run, in tens."""
        groups = {r.group for r in self.results}
        a_round = sum(max(r.cost_s for r in self.results if r.group == g) for g in groups)
        return int(-(-MIN_GENERATIONS * a_round * SAFETY // 10) * 10)
