"""What the plots share: a page as wide as a pull request shows it, row after row from top to bottom.

A page is 6 inches at 200 dots per inch: at 600 pixels on a screen its smallest letters are 11 pixels high.
Every row has its name above its bar, over the whole width, so that long names need no margin. Heights
are inches from the top, so that one row and twelve rows look alike.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from perfkit import units
from perfkit.document import Row
from perfkit.report.columns import plain
from perfkit.report.plots import _text
from perfkit.report.plots._text import MARGIN_IN, TEXT_PT, WIDTH_IN

DPI = 200
TITLE_PT = 10.5
SMALL_PT = 8.0
LINE_IN = 0.17
BAR_IN = 0.17
GAP_IN = 0.14
TITLE_IN = 0.28
BOTTOM_IN = 0.42

# Okabe & Ito (2008), told apart with any common colour blindness
BLACK, GREY = "#000000", "#999999"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"


@dataclass(frozen=True)
class Absent:
    """Why a plot was not drawn."""

    reason: str


@dataclass(frozen=True)
class Drawing:
    """A plot, and how to read it."""

    figure: Figure
    caption: str


@dataclass(frozen=True)
class Slot:
    """Where a row lies, in inches from the top of the axes."""

    row: Row
    bar_in: float
    """Middle of its bar."""


def bar_page(
    rows: Sequence[Row],
    values: Sequence[str],
    *,
    title: str,
    axis: str,
    bars: int = 1,
    legend_lines: int = 0,
) -> tuple[Figure, Axes, list[Slot]]:
    """Lay out a page of bars and write the rows' names and values on it.

    Args:
        values: what to write of each row, on the right above its bar; empty for none.
        axis: what the bars are long in.
        bars: how many lie below each other in a row.
        legend_lines: room below the title.
    """
    figure, axes, places = lanes(
        [row.key for row in rows],
        values,
        title=title,
        axis=axis,
        bars=bars,
        legend_lines=legend_lines,
    )
    return figure, axes, [Slot(row, bar_in) for row, (_, bar_in) in zip(rows, places, strict=True)]


def lanes(
    names: Sequence[str],
    values: Sequence[str],
    *,
    title: str,
    axis: str,
    bars: int = 1,
    legend_lines: int = 0,
) -> tuple[Figure, Axes, list[tuple[float, float]]]:
    """Lay out a page likewise for things with any names.

    Returns:
        the page, its axes, and of each name the baseline of its text and the middle of its bars, inches from
        the top.
    """
    told = [_text.beside(plain(name), value) for name, value in zip(names, values, strict=True)]
    places, at_in = [], 0.06
    for lines in told:
        text_in = at_in + LINE_IN * len(lines)
        places.append((text_in, text_in + 0.06 + BAR_IN * bars / 2))
        at_in = text_in + 0.06 + BAR_IN * bars + GAP_IN
    top_in, bottom_in = TITLE_IN + LINE_IN * 1.15 * legend_lines, BOTTOM_IN
    figure = new_figure(top_in + at_in + bottom_in, title)
    axes = axes_at(figure, MARGIN_IN, top_in, WIDTH_IN - 2 * MARGIN_IN, at_in)
    axes.set_ylim(at_in, 0)
    axes.set_yticks([])
    axes.set_xlabel(axis, fontsize=TEXT_PT)
    for (text_in, _), lines, value in zip(places, told, values, strict=True):
        for number, line in enumerate(lines, start=1 - len(lines)):
            write(axes, 0, text_in + LINE_IN * number, line, weight="bold")
        write(axes, 1, text_in, value, align="right")
    return figure, axes, places


def new_figure(height_in: float, title: str) -> Figure:
    """Return an empty page with its title."""
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    write_on(figure, 0.08, title, weight="bold", size=TITLE_PT)
    return figure


def axes_at(
    figure: Figure, left_in: float, down_in: float, width_in: float, height_in: float
) -> Axes:
    """Add axes at inches from the left and the top, with no ink that says nothing."""
    page_in = figure.get_size_inches()[1]
    axes = figure.add_axes(
        (
            left_in / WIDTH_IN,
            1 - (down_in + height_in) / page_in,
            width_in / WIDTH_IN,
            height_in / page_in,
        )
    )
    _bare(axes)
    return axes


def write_on(
    figure: Figure,
    down_in: float,
    said: str,
    *,
    weight: str = "normal",
    style: str = "normal",
    size: float = TEXT_PT,
) -> None:
    """Write text at the page's left margin, its upper edge at inches from the top, as it is."""
    figure.text(
        MARGIN_IN / WIDTH_IN,
        1 - down_in / figure.get_size_inches()[1],
        said,
        va="top",
        fontsize=size,
        fontweight=weight,
        fontstyle=style,
        parse_math=False,
    )


def write(
    axes: Axes, across: float, down_in: float, said: str, *, align: str = "left", weight: str = ""
) -> None:
    """Write text at a share of the width and at inches from the top, as it is."""
    axes.text(
        across,
        down_in,
        said,
        transform=axes.get_yaxis_transform(),
        ha=align,
        va="baseline",
        fontsize=TEXT_PT,
        fontweight=weight or "normal",
        parse_math=False,
    )


def legend(figure: Figure, looks: Sequence[tuple[str, str, str]], *, columns: int) -> None:
    """Name colours and hatches below the title, row by row from left to right."""
    patches = [
        Patch(facecolor=color, edgecolor="white", hatch=hatch, linewidth=0, label=name)
        for name, color, hatch in looks
    ]
    legend_of(figure, patches, columns=columns)


def legend_of(figure: Figure, handles: Sequence[Artist], *, columns: int) -> None:
    """Name any labelled things below the title, row by row from left to right."""
    height_in = figure.get_size_inches()[1]
    # matplotlib fills columns first
    ordered = [one for column in range(columns) for one in handles[column::columns]]
    figure.legend(
        handles=ordered,
        loc="upper left",
        bbox_to_anchor=(MARGIN_IN / WIDTH_IN, 1 - 0.27 / height_in),
        borderaxespad=0,
        borderpad=0,
        ncols=columns,
        frameon=False,
        fontsize=TEXT_PT,
        handlelength=2.2,
        handleheight=0.9,
        columnspacing=1.5,
        labelspacing=0.35,
    )


def not_drawn(axes: Axes, slot: Slot, why: str = "not measured") -> None:
    """Say in the place of a bar why there is none: a missing value is not a bar of no length."""
    why = why if slot.row.status == "ok" else f"{slot.row.status}: {why}"
    axes.text(
        0.0,
        slot.bar_in,
        why,
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=TEXT_PT,
        style="italic",
        color="#333333",
        parse_math=False,
    )


def status_of(row: Row) -> str:
    """Return what a measured row's status adds to its value: nothing, or the word."""
    return "" if row.status == "ok" else f" ({row.status})"


def png(figure: Figure) -> bytes:
    """Return the finished page."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # somebody's name in a script that the font lacks becomes boxes; the table has it whole
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def time_axis(values_s: Sequence[float]) -> units.Unit:
    """Return the unit of an axis of durations: the largest value's, since an axis begins at zero."""
    return units.time_unit([max(values_s, default=0.0)])


def _bare(axes: Axes) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=SMALL_PT, labelcolor="#333333")
