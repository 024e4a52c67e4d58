"""Text on a page of plots: how wide it is, and where a long name is broken."""

from __future__ import annotations

import re
import warnings
from functools import cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

WIDTH_IN = 6.0
MARGIN_IN = 0.12
TEXT_PT = 9.0
TEXT_WIDTH_IN = WIDTH_IN - 2 * MARGIN_IN


def beside(name: str, value: str) -> list[str]:
    """Lines of a name whose last one leaves room for the value beside it."""
    lines = wrapped(name)
    if width_in(lines[-1], "bold") + width_in("  " + value) > TEXT_WIDTH_IN:
        lines.append("")
    return lines


def wrapped(name: str) -> list[str]:
    """Break a row's name into lines of the page, after its own separators where they come often enough."""
    lines = [""]
    for piece in re.findall(r"[^/+=,;:_ -]*[/+=,;:_ -]?", name):
        if lines[-1] and width_in(lines[-1] + piece.rstrip(), "bold") > TEXT_WIDTH_IN:
            lines.append("")
        for character in piece:
            if width_in(lines[-1] + character, "bold") > TEXT_WIDTH_IN:
                lines.append("")
            lines[-1] += character
    return [line.strip() for line in lines]


def width_in(said: str, weight: str = "normal") -> float:
    """Return how wide a text is, in inches."""
    return sum(_character_in(character, weight) for character in said)


@cache
def _character_in(character: str, weight: str) -> float:
    font = FontProperties(weight=weight, size=TEXT_PT)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        width, _, _ = text_to_path.get_text_width_height_descent(character, font, ismath=False)
    return float(width) / 72
