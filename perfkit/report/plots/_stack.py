"""Parts of a whole end to end, as one bar."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

from perfkit import units
from perfkit.report.plots import _page

_LEAST_LABELLED = 0.075
"""Part of the page's width from which on a part has room for its share."""


def draw(
    axes: Axes,
    at_in: float,
    parts: Mapping[str, float],
    looks: Mapping[str, tuple[str, str]],
    *,
    scale: float,
    total: float,
    longest: float,
) -> dict[str, float]:
    """Draw the parts that are longer than nothing, each with its share where it has room.

    Args:
        at_in: the middle of the bar, inches from the top.
        looks: colour and hatch of each part.
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
        color, hatch = looks[name]
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
