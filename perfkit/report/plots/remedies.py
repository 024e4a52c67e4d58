"""What remedies were predicted to gain, and what they gained when they ran."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from perfkit.document import Document, Remedy
from perfkit.report.diagnose import gains
from perfkit.report.plots import _page
from perfkit.report.plots._page import Absent, Drawing
from perfkit.runfolder import StudyFolder
from perfkit.stats import Interval

NAME, TITLE = "remedies", "Predicted and measured speed-up"
_MISS = _page.VERMILLION
_CAPTION = (
    "above the prediction, below it what was measured, each with its 95 % interval; the dashed line is no"
    " change."
)


def draw(document: Document, study: StudyFolder | None) -> Drawing | Absent:
    """Draw of each remedy that has run what was predicted, and below it what was measured."""
    found = () if document.diagnosis is None else document.diagnosis.remedies
    run = [one for one in found if one.measured_speedup is not None]
    if not run:
        return Absent("no remedy has run yet: perfkit diagnose --verify runs the best of them")
    figure, axes, places = _page.lanes(
        [gains.name_of(one) for one in run],
        [gains.verified(one) for one in run],
        title="Speed-up of the epoch: predicted, and measured",
        axis="epoch now ÷ epoch with it; more is faster",
        bars=2,
        legend_lines=1,
    )
    reach = [1.0]
    for remedy, (_, middle_in) in zip(run, places, strict=True):
        assert remedy.measured_speedup is not None
        if remedy.predicted_speedup is not None:
            reach += _predicted(axes, middle_in - _page.BAR_IN / 2, remedy)
        missed = gains.verified(remedy).startswith(gains.MISSED)
        color = _MISS if missed else _page.BLUE
        reach += _point(
            axes,
            middle_in + _page.BAR_IN / 2,
            remedy.measured_speedup,
            color,
            "s" if missed else "o",
        )
    margin = 0.06 * max(0.1, max(reach) - min(reach))
    axes.set_xlim(min(reach) - margin, max(reach) + margin)
    for _, middle_in in places:
        # beside the points only: a line through the text above them would be in its way
        axes.plot(
            [1.0, 1.0],
            [middle_in - _page.BAR_IN, middle_in + _page.BAR_IN],
            color=_page.BLACK,
            linewidth=0.9,
            linestyle=(0, (2.5, 1.5)),
            zorder=1,
        )
    _page.legend_of(figure, _handles(run), columns=4)
    return Drawing(figure, _CAPTION)


def _predicted(axes: Axes, at_in: float, remedy: Remedy) -> list[float]:
    """Draw a prediction: its interval with a point, or of a bound the way up to it."""
    found = remedy.predicted_speedup
    assert found is not None
    if remedy.basis == "bound":
        most = found.value if found.high is None else found.high
        axes.plot([1.0, most], [at_in] * 2, "-", color=_page.GREY, linewidth=1.6, zorder=3)
        axes.plot([most], [at_in], "|", color=_page.GREY, markersize=9, markeredgewidth=1.6)
        return [most]
    return _point(axes, at_in, found, "white", "o")


def _point(axes: Axes, at_in: float, found: Interval, color: str, marker: str) -> list[float]:
    ends = [end for end in (found.low, found.high) if end is not None]
    edge = _page.BLACK if color == "white" else color
    axes.plot(ends, [at_in] * len(ends), "-", color=edge, linewidth=1.6, zorder=3)
    axes.plot(
        [found.value],
        [at_in],
        marker,
        markersize=6,
        markerfacecolor=color,
        markeredgecolor=edge,
        markeredgewidth=1.2,
        zorder=4,
    )
    return [found.value, *ends]


def _handles(run: Sequence[Remedy]) -> list[Line2D]:
    """What is drawn, as it is drawn: white is what was predicted, a square what was missed."""
    predicted = [one for one in run if one.predicted_speedup is not None]
    missed = [gains.verified(one).startswith(gains.MISSED) for one in run]
    looks = [
        ("predicted", any(one.basis != "bound" for one in predicted), "o", "white", _page.BLACK),
        ("bound", any(one.basis == "bound" for one in predicted), "|", _page.GREY, _page.GREY),
        ("measured", not all(missed), "o", _page.BLUE, _page.BLUE),
        ("measured, a miss", any(missed), "s", _MISS, _MISS),
    ]
    return [
        Line2D(
            [], [], color=edge, marker=marker, markersize=6, markerfacecolor=color,
            markeredgecolor=edge, linewidth=1.6, label=name,
        )
        for name, there, marker, color, edge in looks
        if there
    ]  # fmt: skip
