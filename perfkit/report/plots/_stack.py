"""Parts of a whole end to end, as one bar; the same part looks the same in every plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matplotlib.axes import Axes

from perfkit import units
from perfkit.report.plots import _page

STEP_LOOKS = {
    "waiting": (_page.VERMILLION, "////"),
    "transfer": (_page.ORANGE, "\\\\\\\\"),
    "data_wait": (_page.VERMILLION, "xxxx"),
    "h2d": (_page.YELLOW, "...."),
    "forward": (_page.SKY, ""),
    "backward": (_page.BLUE, ""),
    "optimizer": (_page.GREEN, "\\\\\\\\"),
    "other": ("#E0E0E0", ""),
}
"""Colour and hatch of the phases of a step, in their order."""
_LOOKS = STEP_LOOKS | {
    "compute": (_page.SKY, ""),
    "host_launch": (_page.YELLOW, "xxxx"),
    "sync": (_page.BLUE, ""),
    "communication": (_page.GREEN, "----"),
    "contention": (_page.PURPLE, "||||"),
    "periodic": (_page.GREEN, "++++"),
    "eval": (_page.BLUE, "oo"),
    "startup": (_page.GREY, "//"),
}
"""Those of the parts of an epoch as well."""
_ELSE = (_page.PURPLE, "++++")
_LEAST_LABELLED = 0.075
"""Part of the page's width from which on a part has room for its share."""


def looks(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return colour and hatch of each part; unknown ones share a look."""
    return {name: _LOOKS.get(name, _ELSE) for name in names}


def draw(
    axes: Axes,
    at_in: float,
    parts: Mapping[str, float],
    *,
    scale: float,
    total: float,
    longest: float,
) -> dict[str, float]:
    """Draw the parts that are longer than nothing, each with its share where it has room.

    Args:
        at_in: the middle of the bar, inches from the top.
        scale: what the axis counts in, of the parts' unit.
        total: what shares are of.
        longest: the longest bar of the page.

    Returns:
        the middle of each part that was drawn, on the axis.
    """
    middles, left = {}, 0.0
    for name, value in parts.items():
        if value <= 0:
            continue
        color, hatch = _LOOKS.get(name, _ELSE)
        axes.barh(
            at_in,
            value / scale,
            left=left / scale,
            height=_page.BAR_IN,
            color=color,
            edgecolor="white",
            hatch=hatch,
            linewidth=0.8,
        )
        middles[name] = (left + value / 2) / scale
        if value >= _LEAST_LABELLED * longest:
            axes.text(
                middles[name],
                at_in,
                units.share(value / total),
                ha="center",
                va="center_baseline",
                fontsize=_page.SMALL_PT,
                color="black",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2, "alpha": 0.9},
            )
        left += value
    return middles
