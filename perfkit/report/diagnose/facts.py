"""What stands below a diagnosis besides how it was measured: rates, workers, arms, operators, nvidia-smi."""

from __future__ import annotations

from perfkit import units
from perfkit.document import Diagnosis, Document, Operator
from perfkit.report.columns import plain
from perfkit.report.diagnose import figures, sentences
from perfkit.report.diagnose.kinds import title

_ARMS = {
    "input": "what input costs (real − replay)",
    "contention": "what contention costs (replay, workers running − idle)",
}


def facts(document: Document) -> list[tuple[str, str]]:
    """Return labels and what they say, in the order of reading; what is not known is left out."""
    diagnosis = document.diagnosis
    if diagnosis is None:
        return []
    found = [
        ("nvidia-smi", sentences.naive(document)),
        ("Rates", "" if diagnosis.primary == "balanced" else sentences.rates(diagnosis)),
        ("Workers", sentences.workers(document)),
        ("Arms", _arms(diagnosis)),
        ("Operators", operators(diagnosis.operators)),
        ("Trace", _trace(document)),
    ]
    return [(label, said) for label, said in found if said]


def operators(found: tuple[Operator, ...]) -> str:
    """Return the costliest operators of a step in a line."""
    return ", ".join(
        f"{plain(one.name)} {units.share(one.share)}{f' ({plain(one.where)})' if one.where else ''}"
        for one in found
    )


def _trace(document: Document) -> str:
    """Where the steps that were profiled can be looked at."""
    file = document.method.get("trace")
    return (
        f"a few profiled steps are in {plain(str(file))} of the study: ui.perfetto.dev"
        if file
        else ""
    )


def _arms(diagnosis: Diagnosis) -> str:
    """What arms say of a step, which is not what the verdict on input rests on."""
    unit = units.time_unit(
        [max((abs(d.value) for d in diagnosis.differential_s.values()), default=0.0)]
    )
    told = [
        f"{_ARMS.get(name, title(name))} {figures.seconds(found, unit)}"
        for name, found in diagnosis.differential_s.items()
    ]
    return f"per step, {'; '.join(told)}" if told else ""
