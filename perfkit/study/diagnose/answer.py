"""What a diagnosis says: the row, where its epoch goes, what holds it back, what to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perfkit.diagnosis import Evidence
from perfkit.diagnosis.judge import Judgement, judge
from perfkit.diagnosis.remedies import remedies
from perfkit.document import Diagnosis, Document, Note
from perfkit.engine.results import GenerationResult, ProcessResult
from perfkit.study.diagnose.evidence import evidence_of
from perfkit.study.diagnose.plan import DiagnosePlan
from perfkit.study.frame import Frame
from perfkit.study.rows import Averages, make_rows


@dataclass(frozen=True, kw_only=True)
class DiagnoseAnswer:
    """From the process that was diagnosed to the Document."""

    plan: DiagnosePlan
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
        (row,) = make_rows(plan.rows, results[:1], telemetry)
        process = results[0].processes[0] if results else None
        found: Diagnosis | None = None
        unavailable = {"diagnosis": "failed" if results else "no_data"}
        if process is not None and process.status == "ok":
            evidence = evidence_of(row, plan.rows[0], process, frame.environment)
            row = evidence.row
            found, unavailable = diagnosis(evidence, results[0]), {}
        return Document(
            kind="diagnose",
            command=frame.command,
            created=frame.created,
            environment=frame.environment,
            base=frame.base_settings(),
            rows=(row,),
            diagnosis=found,
            method=self._method(results, process, elapsed_s),
            warnings=(*frame.warnings, *_warnings(process)),
            unavailable=unavailable,
            complete=complete,
        )

    def _method(
        self,
        results: Sequence[GenerationResult],
        process: ProcessResult | None,
        elapsed_s: float,
    ) -> dict[str, Any]:
        blocks = process.blocks if process is not None else ()
        return {
            "generations": len(results),
            "processes": sum(len(r.processes) for r in results),
            "palindromes": [r.palindromes for r in results],
            "arms": list(dict.fromkeys(b.arm for b in blocks)),
            "dropped": [name for r in results for name in r.dropped],
            "blocks": len(blocks),
            "steps": sum(b.steps for b in blocks),
            "side_by_side": True,
            "budget_s": self.frame.budget_s,
            "elapsed_s": elapsed_s,
            "interval": "95 %, Student's t over palindromes of arms in one process",
            "seed": self.plan.seed,
            "sizes": self.frame.sizes,
        }


def diagnosis(evidence: Evidence, result: GenerationResult) -> Diagnosis:
    """Return what the evidence of one process means."""
    judged: Judgement = judge(evidence)
    attribution = evidence.attribution
    unavailable = dict(attribution.unavailable) if attribution is not None else {}
    for name in result.dropped:
        unavailable["loader_samples_per_sec" if name == "load" else name] = "no_time"
    return Diagnosis(
        primary=judged.primary,
        verdicts=judged.verdicts,
        breakdown_s=dict(attribution.seconds) if attribution is not None else {},
        differential_s=dict(attribution.differential_s) if attribution is not None else {},
        loader_samples_per_sec=judged.loader_samples_per_sec,
        compute_samples_per_sec=judged.compute_samples_per_sec,
        actual_samples_per_sec=judged.actual_samples_per_sec,
        workers_needed=judged.workers_needed,
        operators=evidence.burst.operators if evidence.burst is not None else (),
        remedies=remedies(evidence, judged),
        naive_nvidia_smi=judged.naive,
        inconclusive_because=judged.inconclusive_because,
        unavailable=unavailable,
    )


def _warnings(process: ProcessResult | None) -> list[Note]:
    if process is None:
        return []
    disturbed = sum(block.disturbed for block in process.blocks)
    if disturbed <= len(process.blocks) / 4:
        return []
    text = (
        f"the machine is shared: {disturbed} of {len(process.blocks)} blocks ran beside somebody else's"
        " load; run again when it is quiet"
    )
    return [Note(code="disturbed", text=text)]
