"""Every timed step in the order of the run: drift, outliers, and how processes of one row differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from perfkit.document import Document, Row
from perfkit.errors import UsageError
from perfkit.report.columns import plain
from perfkit.report.plots import _page, _steps, _text
from perfkit.report.plots._page import Absent, Drawing
from perfkit.report.plots._steps import Process
from perfkit.runfolder import StudyFolder
from perfkit.stats import median, quantile

NAME, TITLE = "step-times", "Step times over the run"
_MOST_POINTS = 4000
"""Steps drawn of a row; of more, every second, third … is."""
_SHOWN_QUANTILE = 0.98
"""The axis reaches a quarter past this quantile; steps above it are triangles at its upper end."""
_LEFT_IN, _TOP_IN, _GAP_IN = 0.5, 0.32, 0.12
_PANEL_IN, _LOW_PANEL_IN, _NO_PANEL_IN = 0.85, 0.6, 0.2
_MANY_ROWS = 5
"""From this many rows on the panels are lower."""


def draw(document: Document, study: StudyFolder | None) -> Drawing | Absent:
    """Draw a panel per row: generations from left to right, in each the steps in their order."""
    if study is None:
        return Absent("the document does not lie in its study folder, where every step is recorded")
    try:
        by_key = _steps.read(study)
    except UsageError as error:
        return Absent(error.message)
    mine = {row.key: by_key[row.key] for row in document.rows if row.key in by_key}
    if not mine:
        return Absent("the study folder holds no steps of these rows")
    generations = sorted({one.generation for processes in mine.values() for one in processes})
    scale, unit = _page.time_axis([median(one.times_s) for p in mine.values() for one in p])
    figure, panels = _layout(document.rows, mine, f"Step times over the run ({unit})")
    every = 1
    for key, axes in panels.items():
        steps = sum(len(one.times_s) for one in mine[key])
        every = max(every, -(-steps // _MOST_POINTS))
        _panel(axes, mine[key], generations, scale, -(-steps // _MOST_POINTS))
        is_last = axes is list(panels.values())[-1]
        axes.set_xticks([place + 0.5 for place in range(len(generations))])
        axes.set_xticklabels([str(number) for number in generations] if is_last else [])
        if is_last:
            axes.set_xlabel("generation of fresh processes", fontsize=_text.TEXT_PT)
    thinned = f" Of many steps, at least one in {every} is drawn." if every > 1 else ""
    caption = (
        "a point is a timed step, also of blocks that were run again; the line is the median of its"
        " process; a triangle is a step beyond the axis. Every row has a scale of its own."
    )
    return Drawing(figure, caption + thinned)


def _layout(
    rows: Sequence[Row], mine: Mapping[str, Sequence[Process]], title: str
) -> tuple[Figure, dict[str, Axes]]:
    """Return the page, and by key the panels of the rows that have steps; the others say why not."""
    names = [_text.wrapped(plain(row.key)) for row in rows]
    full_in = _LOW_PANEL_IN if len(rows) >= _MANY_ROWS else _PANEL_IN
    text_in = [_page.LINE_IN * len(lines) + 0.06 for lines in names]
    panel_in = [full_in if row.key in mine else _NO_PANEL_IN for row in rows]
    # below the last panel stand the generations, whether other rows follow or not
    last = max(number for number, row in enumerate(rows) if row.key in mine)
    gap_in = [_page.BOTTOM_IN if number == last else _GAP_IN for number in range(len(rows))]
    height_in = _TOP_IN + sum(text_in) + sum(panel_in) + sum(gap_in)
    figure = _page.new_figure(height_in, title)
    panels, down_in = {}, _TOP_IN
    for row, lines, its_text_in, its_panel_in, its_gap_in in zip(
        rows, names, text_in, panel_in, gap_in, strict=True
    ):
        _page.write_on(figure, down_in, "\n".join(lines), weight="bold")
        down_in += its_text_in
        if row.key in mine:
            box = (_LEFT_IN, down_in, _text.WIDTH_IN - _LEFT_IN - _text.MARGIN_IN, its_panel_in)
            panels[row.key] = _page.axes_at(figure, *box)
        else:
            why = "no steps" if row.status == "ok" else f"{row.status}: no steps"
            _page.write_on(figure, down_in, why, style="italic")
        down_in += its_panel_in + its_gap_in
    return figure, panels


def _panel(
    axes: Axes, processes: Sequence[Process], generations: Sequence[int], scale: float, every: int
) -> None:
    """Draw the steps of one row; of those below the upper end, one in `every`."""
    times_s = [time_s for one in processes for time_s in one.times_s]
    top_s = min(max(times_s), 1.25 * quantile(times_s, _SHOWN_QUANTILE)) * 1.08
    for one in processes:
        place, count = generations.index(one.generation), len(one.times_s)
        across = [place + 0.04 + 0.92 * (number + 0.5) / count for number in range(count)]
        shown = [
            (x, time_s / scale)
            for number, (x, time_s) in enumerate(zip(across, one.times_s, strict=True))
            if time_s <= top_s and number % every == 0
        ]
        beyond = [x for x, time_s in zip(across, one.times_s, strict=True) if time_s > top_s]
        axes.plot(*_xy(shown), ".", color=_page.BLUE, markersize=3.6, alpha=0.7, markeredgewidth=0)
        axes.plot(
            beyond, [0.96 * top_s / scale] * len(beyond), "^",
            color=_page.VERMILLION, markersize=4, markeredgewidth=0,
        )  # fmt: skip
        middle = median(one.times_s) / scale
        axes.plot([place + 0.04, place + 0.96], [middle] * 2, color=_page.BLACK, linewidth=1.1)
    for edge in range(1, len(generations)):
        axes.axvline(edge, color="#CCCCCC", linewidth=0.6, zorder=0)
    axes.set_xlim(0, len(generations))
    axes.set_ylim(0, top_s / scale)
    axes.locator_params(axis="y", nbins=4)
    axes.grid(visible=False, axis="x")
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)


def _xy(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
