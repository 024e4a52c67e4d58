"""Where the epoch goes: its parts end to end, and which of them decided."""

from __future__ import annotations

from matplotlib.axes import Axes

from perfkit import units
from perfkit.document import Document, Verdict
from perfkit.report.columns import plain
from perfkit.report.diagnose import figures
from perfkit.report.diagnose.kinds import named, primary_of, title
from perfkit.report.diagnose.tree import tree
from perfkit.report.plots import _page, _stack, _text
from perfkit.report.plots._page import Absent, Drawing
from perfkit.runfolder import StudyFolder

NAME, TITLE = "epoch-breakdown", "Where the epoch goes"
_COLUMNS = 2


def draw(document: Document, study: StudyFolder | None) -> Drawing | Absent:
    """Draw the epoch as one bar, its parts in the order of the tree."""
    diagnosis = document.diagnosis
    branches = tree(document)
    if diagnosis is None or not branches:
        return Absent("the epoch was not attributed")
    named_s = {one.name: one.seconds for one in branches if one.name in diagnosis.breakdown_s}
    parts = {name: seconds for name, seconds in named_s.items() if seconds is not None}
    drawn = {name: seconds for name, seconds in parts.items() if seconds > 0}
    total = sum(parts.values())
    unit = _page.time_axis([total])
    figure, axes, [(_, middle_in)] = _page.lanes(
        [document.rows[0].key] if document.rows else [""],
        [f"{figures.fixed(total, total, unit[0])} {unit[1]}"],
        title=TITLE,
        axis=f"{unit[1]} of an epoch",
        bars=2,
        legend_lines=-(-len(drawn) // _COLUMNS),
    )
    longest = sum(drawn.values())
    axes.set_xlim(0, 1.01 * longest / unit[0])
    middles = _stack.draw(
        axes,
        middle_in - _page.BAR_IN / 2,
        drawn,
        scale=unit[0],
        total=total,
        longest=longest,
    )
    told = {
        name: f"{title(name)}  {figures.fixed(seconds, total, unit[0])} {unit[1]}"
        f" ({figures.part_of_epoch(seconds, total)})"
        for name, seconds in drawn.items()
    }
    looks = _stack.looks(drawn)
    _page.legend(figure, [(told[name], *looks[name]) for name in drawn], columns=_COLUMNS)
    verdict = primary_of(diagnosis)
    decided = next((one.name for one in branches if one.decided), None)
    # a task of periodic work has no place of its own in the bar
    place = decided if decided in middles else "periodic"
    if verdict is not None and decided is not None and place in middles:
        share = middles[place] * unit[0] / (1.01 * longest)
        _mark(axes, share, middle_in + _page.BAR_IN * 0.95, verdict)
    return Drawing(figure, _caption(decided is not None, parts))


def _mark(axes: Axes, share: float, down_in: float, verdict: Verdict) -> None:
    """Point at the part that the verdict was read from; its name stands beside the mark, inside the page."""
    for said in (named(verdict), plain(verdict.kind), ""):
        width = _text.width_in(f"▲ {said}", "bold") / _text.TEXT_WIDTH_IN
        if share + width <= 1:
            _page.write(axes, share - 0.01, down_in, f"▲ {said}".rstrip(), weight="bold")
            return
        if width <= share:
            told = f"{said} ▲".lstrip()
            _page.write(axes, share + 0.01, down_in, told, align="right", weight="bold")
            return


def _caption(decided: bool, parts: dict[str, float]) -> str:
    said = ["exclusive parts of an epoch's wall clock"]
    said += ["the mark stands at the part that decided"] if decided else []
    below = [name for name, seconds in parts.items() if seconds < 0]
    said += [f"{title(name)} is {units.seconds(parts[name])}, and not drawn" for name in below]
    return f"{'; '.join(said)}."
