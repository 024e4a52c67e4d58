"""Text made of numbers: the only place where ms, GiB and % exist.

Stored values are SI base units; these functions pick the unit and the digits for a reader.
`None` becomes an en dash: missing is not zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

MISSING = "–"

_TIME_UNITS = (
    (3600.0, "h", 36_000.0),
    (60.0, "min", 600.0),
    (1.0, "s", 1.0),
    (1e-3, "ms", 1e-3),
    (1e-6, "µs", 1e-6),
    (1e-9, "ns", 0.0),
)
"""(seconds, name, the value from which on it is used): nobody thinks of 90 s as 1.5 min."""
_BYTE_UNITS = (
    (2.0**40, "TiB", 2.0**40),
    (2.0**30, "GiB", 2.0**30),
    (2.0**20, "MiB", 2.0**20),
    (2.0**10, "KiB", 2.0**10),
    (1.0, "B", 0.0),
)
_SMALLEST_IN_UNIT = 0.01
"""Values of one column share a unit; the smallest should not come below this in it."""

NEGLIGIBLE = 1e-4
"""Half an interval that is less than this part of its value is rounding, and not told."""

Unit = tuple[float, str]
"""(how much of the base unit it is, its name)"""


def time_unit(values_s: Iterable[float | None]) -> Unit:
    """Return the one unit for a column of durations: the largest value's, if the smallest allows."""
    return _shared_unit(values_s, _TIME_UNITS, (1.0, "s"))


def byte_unit(values_bytes: Iterable[float | None]) -> Unit:
    """Return the one unit for a column of sizes, likewise."""
    return _shared_unit(values_bytes, _BYTE_UNITS, (2.0**20, "MiB"))


def _shared_unit(
    values: Iterable[float | None], units: tuple[tuple[float, str, float], ...], none: Unit
) -> Unit:
    present = [abs(v) for v in values if v]
    if not present:
        return none
    largest, smallest = max(present), min(present)
    for scale, name, used_from in units:
        if largest >= used_from and smallest >= _SMALLEST_IN_UNIT * scale:
            return scale, name
    return units[-1][0], units[-1][1]


def seconds(value_s: float | None, unit: Unit | None = None) -> str:
    """Format a duration: `83.4 ms`, `12.3 s`; from ten minutes on `31 min 20 s`."""
    if value_s is None:
        return MISSING
    if unit is None and value_s >= 600:
        return minutes(value_s)
    scale, name = unit or time_unit([value_s])
    return f"{significant(value_s / scale)} {name}"


def minutes(value_s: float) -> str:
    """Format a long duration as hours, minutes and seconds, the two leading parts of it."""
    whole = round(value_s)
    hours, rest = divmod(whole, 3600)
    mins, secs = divmod(rest, 60)
    if hours:
        return f"{hours} h {mins} min" if mins else f"{hours} h"
    if mins:
        return f"{mins} min {secs} s" if secs else f"{mins} min"
    return f"{secs} s"


def size(value_bytes: float | None, unit: Unit | None = None) -> str:
    """Format a number of bytes with a binary unit: `1.42 GiB`."""
    if value_bytes is None:
        return MISSING
    scale, name = unit or byte_unit([value_bytes])
    if name == "B":
        return f"{round(value_bytes)} B"
    return f"{significant(value_bytes / scale)} {name}"


def parse_size(text: str) -> int:
    """Read a number of bytes: `8GiB`, `512 MB`, `1.5G`, `1000000`. Ki, Mi, Gi are powers of 1024.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgt])(i?))?b?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"{text!r} is no size")
    number, prefix, binary = match.groups()
    power = "kmgt".index(prefix.lower()) + 1 if prefix else 0
    return int(float(number) * (1024 if binary else 1000) ** power)


def share(value: float | None, digits: int = 0) -> str:
    """Format a part of a whole (0–1) as per cent."""
    # + 0.0 turns a rounded -0.0 into 0.0
    return MISSING if value is None else f"{round(100 * value, digits) + 0.0:.{digits}f} %"


def ratio(value: float | None) -> str:
    """Format a ratio: `1.52×`."""
    return MISSING if value is None else f"{value:.2f}×"


def ratio_interval(value: float, low: float | None, high: float | None) -> tuple[str, str]:
    """Format a ratio and its interval with as many digits as the interval deserves.

    Returns:
        `("1.34×", "[1.29–1.40]")`; the second is empty without bounds, or with ones that hardly differ. A
        bound that is not 1 is not rounded to 1: whether the interval holds 1 is what a reader looks for.
    """
    if low is None or high is None or is_negligible(value, (high - low) / 2):
        return ratio(value), ""
    decimals = max(1, min(3, error_decimals((high - low) / 2)))
    while decimals < 4 and any(b != 1 and float(f"{b:.{decimals}f}") == 1 for b in (low, high)):
        decimals += 1
    return f"{value:.{decimals}f}×", f"[{low:.{decimals}f}–{high:.{decimals}f}]"


def with_error(value: float | None, half_width: float | None) -> str:
    """Format a value with half the width of its interval, both in one unit: `28.1 ± 0.5`."""
    if value is None:
        return MISSING
    if half_width is None or is_negligible(value, half_width):
        return significant(value)
    decimals = error_decimals(half_width)
    if decimals == 0:
        return f"{_grouped(value)} ± {_grouped(half_width)}"
    return f"{value:.{decimals}f} ± {half_width:.{decimals}f}"


def is_negligible(value: float, half_width: float) -> bool:
    """Return whether an interval is so narrow that its ends would read like its value."""
    return half_width <= NEGLIGIBLE * abs(value)


def error_decimals(half_width: float) -> int:
    """Return the decimals an interval of this half-width deserves, 0 to 4.

    Its own first digit is the last that says anything; two digits where the first is a 1, as the Particle
    Data Group rounds errors.
    """
    if half_width <= 0 or not math.isfinite(half_width):
        return 2
    magnitude = math.floor(math.log10(half_width))
    # 1.95 and more is written as 2
    digits = 2 if half_width / 10**magnitude < 1.95 else 1
    return max(0, min(4, digits - 1 - magnitude))


def rate(value: float | None) -> str:
    """Format a rate: `1 240`, `83.4`."""
    return MISSING if value is None else significant(value)


def count(value: float | None) -> str:
    """Format a large count with its SI prefix: `3.0 M`, `1.2 G`."""
    if value is None:
        return MISSING
    for scale, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= scale:
            return f"{significant(value / scale)} {name}"
    return significant(value)


def significant(value: float, digits: int = 3) -> str:
    """Format with `digits` significant digits, never in exponent form."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    # rounded first: 9.9996 is written as 10.0, not as 10.00
    magnitude = int(f"{value:.{digits - 1}e}".partition("e")[2])
    decimals = max(0, digits - 1 - magnitude)
    return _grouped(value) if abs(value) >= 10_000 else f"{value:.{decimals}f}"


def _grouped(value: float) -> str:
    text = f"{value:.0f}"
    return f"{value:,.0f}".replace(",", "\u202f") if len(text.lstrip("-")) > 4 else text
