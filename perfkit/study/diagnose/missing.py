"""What a diagnosis could not measure: what was dropped, lost, or not timed before an interrupt. Pure."""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis import Evidence, figures
from perfkit.diagnosis.attribution import ALL_EDGES, attributed
from perfkit.document import Diagnosis, Note
from perfkit.engine.results import GenerationResult
from perfkit.engine.turns import REPEAT
from perfkit.study.forecast import real_blocks

_CALLED = {
    ALL_EDGES: "its start, evaluation and periodic work",
    "epoch_start": "its start",
}
"""Lost parts of an epoch in words, where their name is none."""


def says_something(ran: GenerationResult) -> bool:
    """Return whether the process that was diagnosed, perhaps only in part, leaves something to judge."""
    process = ran.processes[0]
    return process.status == "ok" and bool(real_blocks([process]))


def dropped(ran: GenerationResult) -> list[str]:
    """Return what there was no time for: arms, `load`, and `evaluation_repeat` where something evaluates."""
    evaluates = "evaluation" in ran.processes[0].edges
    return [name for name in ran.dropped if name != REPEAT or evaluates]


def notes(evidence: Evidence, found: Diagnosis, ran: GenerationResult) -> list[Note]:
    """Return what a reader must know of a diagnosis that rests on a part of what was planned."""
    told = []
    if "interrupted" in ran.processes[0].unavailable.values():
        blocks = ran.processes[0].blocks
        count = f"{len(blocks)} block{'' if len(blocks) == 1 else 's'}"
        text = f"it was interrupted: what is said rests on the {count} that were timed until then"
        told.append(Note(code="interrupted", text=text))
    attribution = attributed(evidence)
    if evidence.lost and attribution is not None:
        names = figures.listed(_CALLED.get(name, name) for name in evidence.lost)
        text = (
            f"what the epoch spends on {names} is not known: shares and speed-ups are of its other parts,"
            f" {units.seconds(attribution.epoch_s)}{_holds(found, attribution.epoch_s)}"
        )
        told.append(Note(code="epoch_incomplete", text=text))
    return told


def _holds(found: Diagnosis, epoch_s: float) -> str:
    """Up to what an unknown part would leave the verdict as it is; nothing where there is none."""
    first = next((one for one in found.verdicts if one.kind == found.primary), None)
    if first is None or first.removable_s is None:
        return ""
    most_s = min(first.removable_s.value, first.seconds_per_epoch)
    whole = units.share(most_s / (epoch_s + most_s))
    return (
        f"; it would come first with more than {units.seconds(most_s)}, {whole} of the whole epoch"
    )
