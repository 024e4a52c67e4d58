"""A diagnosis in a few lines, for a training that goes on."""

from __future__ import annotations

from perfkit.document import Document
from perfkit.report.columns import plain
from perfkit.report.diagnose import figures, gains
from perfkit.report.diagnose.sentences import headline

TOP = 2
"""Remedies that are told."""


def lines(document: Document) -> list[str]:
    """Return the headline and what to try first; a Document without a diagnosis has none."""
    diagnosis = document.diagnosis
    if diagnosis is None:
        return []
    found = [headline(document)]
    if diagnosis.inconclusive_because:
        found.append(f"  {plain(diagnosis.inconclusive_because)}")
    unit = figures.epoch_unit(document)
    for remedy in gains.to_try(diagnosis)[:TOP]:
        found += [f"  try {gains.sentence(remedy, unit)}", f"    {plain(remedy.why)}"]
    return found
