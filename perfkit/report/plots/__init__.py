"""The plots beside a Markdown report: an explicit tuple, each a PNG of its own.

Told apart by hatch, position and word as well as by colour; a value that is missing is said, not drawn.
"""

from __future__ import annotations

from perfkit.report.plots import _page, epoch_time, memory, phases, step_times
from perfkit.report.runs import Picture, Pictures, Run

PLOTS = (epoch_time, memory, phases, step_times)
"""In the order of reading. Each has a `NAME`, a `TITLE` and `draw(document, study)`."""


def draw(run: Run, prefix: str) -> Pictures:
    """Draw every plot that the run has values for.

    Args:
        prefix: what the file names begin with.
    """
    drawn, left_out = [], []
    for plot in PLOTS:
        drawing = plot.draw(run.document, run.study)
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
