"""What a bench says: its rows, what the rules find in the reference, how it was measured."""

from __future__ import annotations

import math
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
from perfkit.study.matrix import groups
from perfkit.study.rows import make_rows, processes_of
from perfkit.study.session import Measured
from perfkit.study.start import RESERVE_S


@dataclass(frozen=True, kw_only=True)
class BenchAnswer:
    """From the results of a bench to its Document."""

    plan: BenchPlan
    frame: Frame

    def __call__(self, study: Measured) -> Document:
        """Return the Document; see `perfkit.study.session.Answer`."""
        plan, frame = self.plan, self.frame
        rows = make_rows(plan.rows, study.results, study.telemetry, confidence=plan.confidence)
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
            method=self._method(study.results, study.elapsed_s),
            warnings=(*frame.warnings, *self._warnings(study.results, rows, study.complete)),
            unavailable={"diagnosis": "not_asked"},
            complete=study.complete,
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
        left = [row.key for row in self.plan.rows if not processes_of(row.key, results)]
        too_few = 0 < fewest < MIN_GENERATIONS or bool(results and left)
        if complete and too_few and self.plan.generations is None:
            enough = f"for {fewest} generation{'' if fewest == 1 else 's'}"
            if left:
                enough += f" of {len(rows) - len(left)} of {len(rows)} rows"
            text = (
                f"{self.frame.budget_s:.0f} s were enough {enough}, and {MIN_GENERATIONS} are needed"
                f" for an interval: try --time-budget {self._needed_s(results)}"
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
        throttled = sum(b.throttled for b in blocks)
        if throttled > len(blocks) / 4:
            text = (
                f"the GPU slowed itself down, for heat or power, in {throttled} of {len(blocks)} blocks;"
                " the intervals hold it, but look at its cooling and run again"
            )
            found.append(Note(code="throttled", text=text))
        return found

    def _needed_s(self, results: Sequence[GenerationResult]) -> int:
        """Seconds that enough generations would take, going by those that were run, in tens."""
        dearest_s = {r.group: 0.0 for r in results}
        for result in results:
            dearest_s[result.group] = max(dearest_s[result.group], result.cost_s)
        # a group that was not run is taken to cost what the dearest of the others does
        not_run = len(groups(self.plan.rows)) - len(dearest_s)
        a_round_s = sum(dearest_s.values()) + not_run * max(dearest_s.values())
        needed_s = MIN_GENERATIONS * a_round_s * SAFETY + RESERVE_S
        return math.ceil(needed_s / 10) * 10
