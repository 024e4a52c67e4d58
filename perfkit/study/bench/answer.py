"""What a bench says: its rows, what the rules find in the reference, how it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perfkit.diagnosis import Evidence, advise
from perfkit.document import Document, Note, Row
from perfkit.engine.results import GenerationResult
from perfkit.stats import CONFIDENCE, MIN_GENERATIONS
from perfkit.study.bench.plan import BenchPlan
from perfkit.study.budget import SAFETY
from perfkit.study.forecast import real_blocks
from perfkit.study.frame import Frame
from perfkit.study.rows import Averages, make_rows


@dataclass(frozen=True, kw_only=True)
class BenchAnswer:
    """From the results of a bench to its Document."""

    plan: BenchPlan
    frame: Frame

    def __call__(
        self,
        results: Sequence[GenerationResult],
        *,
        elapsed_s: float,
        complete: bool,
        telemetry: Averages,
    ) -> Document:
        """Return the Document; see `perfkit.study.session.Answer`."""
        plan, frame = self.plan, self.frame
        rows = make_rows(plan.rows, results, telemetry, confidence=plan.confidence)
        evidence = Evidence(
            row=rows[0],
            config=plan.rows[0].config,
            rows=rows,
            telemetry=rows[0].telemetry or None,
            environment=frame.environment,
        )
        return Document(
            kind="bench",
            command=frame.command,
            created=frame.created,
            environment=frame.environment,
            base=frame.base_settings(),
            rows=rows,
            findings=advise(evidence),
            method=self._method(results, elapsed_s),
            warnings=(*frame.warnings, *self._warnings(results, rows, complete)),
            unavailable={"diagnosis": "not_asked"},
            complete=complete,
        )

    def _method(self, results: Sequence[GenerationResult], elapsed_s: float) -> dict[str, Any]:
        blocks = real_blocks(p for r in results for p in r.processes)
        interval = f"{CONFIDENCE:.0%}, Student's t over generations"
        if self.plan.confidence != CONFIDENCE:
            interval += (
                f" at its {100 * self.plan.confidence:g} % quantile, since the study may end as"
                " soon as they are narrow"
            )
        return {
            "generations": len(results),
            "processes": sum(len(r.processes) for r in results),
            "palindromes": [r.palindromes for r in results],
            "blocks": len(blocks),
            "steps": sum(b.steps for b in blocks),
            "side_by_side": all(r.side_by_side for r in results),
            "budget_s": self.frame.budget_s,
            "elapsed_s": elapsed_s,
            "interval": interval.replace("%,", " %,", 1),
            "quantile": self.plan.confidence,
            "ended_early": self.plan.settled(results),
            "seed": self.plan.seed,
            "sizes": self.frame.sizes,
        }

    def _warnings(
        self, results: Sequence[GenerationResult], rows: Sequence[Row], complete: bool
    ) -> list[Note]:
        found = []
        # a row that failed has fewer for a reason of its own
        fewest = min((row.generations for row in rows if row.status == "ok"), default=0)
        if complete and 0 < fewest < MIN_GENERATIONS and self.plan.generations is None:
            text = (
                f"{self.frame.budget_s:.0f} s were enough for {fewest}"
                f" generation{'' if fewest == 1 else 's'}, and {MIN_GENERATIONS} are needed for an"
                f" interval: try --time-budget {_needed_s(results)}"
            )
            found.append(Note(code="too_few_generations", text=text))
        blocks = real_blocks(p for r in results for p in r.processes)
        disturbed = sum(b.disturbed for b in blocks)
        if disturbed > len(blocks) / 4:
            text = (
                f"the machine is shared: {disturbed} of {len(blocks)} blocks ran beside somebody"
                " else's load; the intervals hold it, but run again when it is quiet"
            )
            found.append(Note(code="disturbed", text=text))
        return found


def _needed_s(results: Sequence[GenerationResult]) -> int:
    """Seconds that enough generations would take, going by those that were run, in tens."""
    groups = {r.group for r in results}
    a_round = sum(max(r.cost_s for r in results if r.group == g) for g in groups)
    return int(-(-MIN_GENERATIONS * a_round * SAFETY // 10) * 10)
