"""What a diagnosis says: the row, where its epoch goes, what holds it back, what to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from perfkit.codec import to_json
from perfkit.diagnosis import Evidence
from perfkit.diagnosis.judge import Judgement, judge
from perfkit.diagnosis.remedies import combination, proposals, rank, remedies
from perfkit.document import Diagnosis, Document, Note, Remedy, Row
from perfkit.engine.results import GenerationResult
from perfkit.stats import MIN_GENERATIONS
from perfkit.study.diagnose import missing
from perfkit.study.diagnose.plan import DiagnosePlan
from perfkit.study.diagnose.stages import Stages
from perfkit.study.diagnose.verify import beside, epochs, measured
from perfkit.study.frame import Frame
from perfkit.study.rows import Averages, make_rows, processes_of
from perfkit.study.session import Measured

INTERVAL = "95 %, Student's t over blocks of one process"
OF_ARMS = "; of differences between arms, over palindromes"
OF_REMEDIES = "; of remedies that were run, over generations"


@dataclass(frozen=True, kw_only=True)
class DiagnoseAnswer:
    """From the process that was diagnosed to the Document."""

    plan: DiagnosePlan
    frame: Frame

    def __call__(self, study: Measured) -> Document:
        """Return the Document; see `perfkit.study.session.Answer`."""
        frame, stages = self.frame, Stages.of(study.results)
        ran = stages.diagnosed
        found: Diagnosis | None = None
        told: dict[str, Any] = {}
        warnings = [] if ran is None else _warnings(ran)
        if ran is not None and missing.says_something(ran):
            found, rows, told = self._found(stages, ran, study.telemetry)
            warnings += missing.notes(self.plan.evidence(ran, {}), found, ran)
            if study.complete:
                warnings += self._verifying(found, stages, rows)
            unavailable = {}
        else:
            rows = make_rows(self.plan.rows, [] if ran is None else [ran], study.telemetry)
            failed = ran is not None and ran.processes[0].status != "ok"
            unavailable = {"diagnosis": "failed" if failed else "no_data"}
        return Document(
            kind="diagnose",
            command=frame.command,
            created=frame.created,
            environment=frame.environment,
            base=frame.base_settings(),
            rows=rows,
            diagnosis=found,
            method={**self._method(study.results, ran, study.elapsed_s), **told},
            warnings=(*frame.warnings, *warnings),
            unavailable=unavailable,
            complete=study.complete,
        )

    def _found(
        self, stages: Stages, ran: GenerationResult, telemetry: Averages
    ) -> tuple[Diagnosis, tuple[Row, ...], dict[str, Any]]:
        """What the diagnosed process means, the rows, and what method says of trials and verifying."""
        evidence = self.plan.evidence(ran, telemetry)
        judged = judge(evidence)
        tried = self.plan.trials(stages, evidence, judged)
        advised = remedies(evidence, judged, tried)
        told: dict[str, Any] = {"trials": {name: to_json(one) for name, one in tried.items()}}
        # of an epoch that lost a part there is no forecast, whatever is known of the others
        row = replace(evidence.row, epoch_parts_s={}) if evidence.lost else evidence.row
        rows: tuple[Row, ...] = (row,)
        verification = self.plan.verification(stages)
        if verification is not None and stages.verified:
            bench = self.plan.bench(verification)
            every = make_rows(bench.rows, stages.verified, telemetry, confidence=bench.confidence)
            verified = [row for row in every[1:] if processes_of(row.key, stages.verified)]
            proposed = proposals(evidence, judged, tried)
            together = combination(evidence, verification.together, proposed)
            if together is not None:
                advised = tuple(sorted((*advised, together), key=lambda one: rank(one, judged)))
            advised = beside(advised, measured(verification, verified))
            rows = (*rows, *verified)
            told["verified"] = {
                "generations": len(stages.verified),
                "quantile": bench.confidence,
                **to_json(epochs(verification, advised, every)),
            }
            told["interval"] = _interval(ran) + OF_REMEDIES
        return diagnosis(evidence, ran, judged, advised), rows, told

    def _verifying(self, found: Diagnosis, stages: Stages, rows: Sequence[Row]) -> list[Note]:
        """What stands in the way of remedies that were to be run."""
        if not self.plan.verify or found.primary == "inconclusive":
            return []
        verification = self.plan.verification(stages)
        if verification is None:
            text = "nothing was verified: no remedy here is one that perfkit can run"
            return [Note(code="nothing_to_verify", text=text)]
        by_key = {row.key: row for row in rows}
        had = [by_key.get(planned.key) for planned in verification.rows.values()]
        fewest = min(
            (0 if row is None else row.generations for row in had if _counts(row)), default=None
        )
        if fewest is None or fewest >= MIN_GENERATIONS:
            return []
        text = (
            f"{self.frame.budget_s:.0f} s were enough to run remedies"
            f" {fewest} time{'' if fewest == 1 else 's'}, and {MIN_GENERATIONS} are needed for an interval"
            " that can be relied on: try a longer --time-budget"
        )
        return [Note(code="too_few_generations", text=text)]

    def _method(
        self, results: Sequence[GenerationResult], ran: GenerationResult | None, elapsed_s: float
    ) -> dict[str, Any]:
        blocks = ran.processes[0].blocks if ran is not None else ()
        profile = ran.processes[0].profile if ran is not None else None
        return {
            "generations": len(results),
            "processes": sum(len(r.processes) for r in results),
            "palindromes": [] if ran is None else [ran.palindromes],
            "arms": list(dict.fromkeys(b.arm for b in blocks)),
            "dropped": [] if ran is None else missing.dropped(ran),
            "blocks": len(blocks),
            "steps": sum(b.steps for b in blocks),
            "side_by_side": all(r.side_by_side for r in results),
            "budget_s": self.frame.budget_s,
            "elapsed_s": elapsed_s,
            "interval": None if not blocks or ran is None else _interval(ran),
            "seed": self.plan.seed,
            "sizes": self.frame.sizes,
            "trace": profile.file if profile is not None and profile.file else None,
        }


def diagnosis(
    evidence: Evidence,
    result: GenerationResult,
    judged: Judgement,
    advised: Sequence[Remedy],
) -> Diagnosis:
    """Return what the evidence of one process means, as it was judged, with what to try."""
    attribution = evidence.attribution
    unavailable = dict(attribution.unavailable) if attribution is not None else {}
    for name in missing.dropped(result):
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
        remedies=tuple(advised),
        naive_nvidia_smi=judged.naive,
        inconclusive_because=judged.inconclusive_because,
        unavailable=unavailable,
    )


def _interval(ran: GenerationResult) -> str:
    """What intervals are over: of arms only where there is more than one."""
    arms = {block.arm for block in ran.processes[0].blocks}
    return INTERVAL + OF_ARMS if len(arms) > 1 else INTERVAL


def _counts(row: Row | None) -> bool:
    """Whether more time would have had a row run more often: one that failed has a reason of its own."""
    return row is None or row.status == "ok"


def _warnings(ran: GenerationResult) -> list[Note]:
    blocks = ran.processes[0].blocks
    disturbed = sum(block.disturbed for block in blocks)
    if disturbed <= len(blocks) / 4:
        return []
    text = (
        f"the machine is shared: {disturbed} of {len(blocks)} blocks ran beside somebody else's"
        " load; run again when it is quiet"
    )
    return [Note(code="disturbed", text=text)]
