"""The plots beside a Markdown report: an explicit tuple, each a PNG of its own.

Told apart by hatch, position and word as well as by colour; a value that is missing is said, not drawn.
"""

from __future__ import annotations

from typing import Any

from perfkit.document import Document
from perfkit.report.plots import (
    _page,
    epoch_breakdown,
    epoch_time,
    memory,
    phases,
    remedies,
    step_times,
)
from perfkit.report.stored import Picture, Pictures, StoredAnswer

PLOTS = (epoch_time, memory, phases, step_times)
"""In the order of reading. Each has a `NAME`, a `TITLE` and `draw(document, study)`."""
OF_A_DIAGNOSIS = (epoch_breakdown, remedies, phases, step_times)
"""Likewise; it has one row, and a bar of a single number says no more than the number."""


def draw(answer: StoredAnswer, prefix: str) -> Pictures:
    """Draw every plot that the answer has values for.

    Args:
        prefix: what the file names begin with.
    """
    drawn, left_out = [], []
    for plot in _of(answer.document):
        drawing = plot.draw(answer.document, answer.study)
        if isinstance(drawing, _page.Absent):
            left_out.append((plot.TITLE, drawing.reason))
            continue
        drawn.append(
            Picture(
                title=plot.TITLE,
                caption=drawing.caption,
                file_name=f"{prefix}{plot.NAME}.png",
                png=_page.png(drawing.figure),
            )
        )
    return Pictures(drawn=tuple(drawn), left_out=tuple(left_out))


def _of(document: Document) -> tuple[Any, ...]:
    return PLOTS if document.diagnosis is None else OF_A_DIAGNOSIS
