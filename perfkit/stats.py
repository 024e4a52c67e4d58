"""The few statistics perfkit judges with: quantiles, Student's t intervals, outcomes.

Why Student's t and not a bootstrap: with 4 to 10 generations a percentile bootstrap calls a difference
between identical things in 10–20 % of cases, t in 5 %.

A study that may end as soon as its intervals are narrow enough (`settled`) looks at them after every
generation, and the lucky look ends it: with the quantile of 95 % simulated identical things were called
different in up to 8 % of studies, and the true ratio lay outside the interval as often. Such a study takes
the quantile of `EARLY_END_CONFIDENCE`, with which its intervals hold the truth in 95 % of studies, as those
of a study of a fixed length do. The constant was found by `benchmarks/early_end.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import fmean, stdev, variance
from typing import Literal

CONFIDENCE = 0.95
EARLY_END_CONFIDENCE = 0.978
"""In place of `CONFIDENCE` where the study may end early: over spreads of 1–5 % and 5 to 16 generations
identical things are called different in at most 4.3 % of simulated studies (`reports/early_end/`)."""
MIN_GENERATIONS = 4
"""Fewer independent repetitions than this and no comparison is made."""
EFFECT = 0.01
"""A smaller change than this is not called faster or slower, however sure it is."""
MOST_AUTOCORRELATION = 0.9
"""Of neighbouring values; a series with more tells next to nothing of it."""
LEAST_NEIGHBOURS = 6
"""Values of a series whose autocorrelation is estimated."""
SAME_WITHIN = 0.03
"""An interval of a ratio that lies this close to 1 means the same."""

SETTLED_WITHIN = 0.02
"""A relative half-width that settles a ratio, however small the effect is."""
SETTLED_EFFECT_SHARE = 0.25
"""Part of the effect that the half-width may be where that is more."""

Outcome = Literal["faster", "slower", "same", "inconclusive", "reference"]


@dataclass(frozen=True)
class Interval:
    """A value with the 95 % interval it was measured with; the bounds are None when there is none."""

    value: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError("value is not a finite number: a missing value is None")
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has both bounds or none")
        # so written, a bound that is NaN is refused, too
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")

    @property
    def half_width(self) -> float | None:
        """Half the distance between the bounds, in the unit of the value."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def median(values: Sequence[float]) -> float:
    """Return the median; raises ValueError on no values."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float], q: float) -> float:
    """Return the `q` quantile (0–1), linear between neighbours; raises ValueError on no values."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    # this form and not a weighted sum: equal neighbours give themselves, exactly
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def mean_interval(
    values: Sequence[float], confidence: float = CONFIDENCE, *, size: float | None = None
) -> Interval:
    """Return the mean with its Student's t interval; one value has no bounds.

    Args:
        size: how many independent values they are worth (`effective_sizes`); None for their number.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("no values")
    centre = fmean(values)
    if len(values) < 2:
        return Interval(centre)
    worth = len(values) if size is None else size
    half = t_quantile(confidence, worth - 1) * stdev(values) / math.sqrt(worth)
    return Interval(centre, centre - half, centre + half)


def ratio_interval(log_ratios: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the geometric mean of ratios, given their logarithms, with its t interval."""
    return _exponential(mean_interval(log_ratios, confidence))


def effective_sizes(*series: Sequence[float]) -> tuple[float, ...]:
    """Return how many independent values each series of neighbours is worth, from 2 to their number.

    n (1 − r) / (1 + r), with r the lag-1 autocorrelation, one for all series, which are alike (Bayley &
    Hammersley, J. R. Stat. Soc. B 8, 1946, for a memory that fades geometrically). What short series show of
    it is too low: (n r + 1) / (n − 4) puts that right (Marriott & Pope, Biometrika 41, 1954), and is held
    within 0 and 0.9. Fewer than six values tell nothing of it: it is taken to be 0.9.
    """
    seen = fmean(_lag_1(values) for values in series)
    count = fmean(len(values) for values in series)
    r = MOST_AUTOCORRELATION
    if count >= LEAST_NEIGHBOURS:
        r = min(max((count * seen + 1) / (count - 4), 0.0), r)
    return tuple(max(2.0, len(values) * (1 - r) / (1 + r)) for values in series)


def _lag_1(values: Sequence[float]) -> float:
    centre = fmean(values)
    apart = [value - centre for value in values]
    spread = sum(value * value for value in apart)
    return sum(one * other for one, other in pairwise(apart)) / spread if spread else 0.0


def welch_ratio(
    over: Sequence[float],
    under: Sequence[float],
    confidence: float = CONFIDENCE,
    *,
    sizes: tuple[float, float] | None = None,
) -> Interval:
    """Return the geometric mean of one sample ÷ that of another, with Welch's interval.

    The samples are independent of each other (two runs), not pairs, and may differ in spread. Degrees of
    freedom by Welch–Satterthwaite (Welch, Biometrika 34, 1947); a sample of one value has no bounds.

    Args:
        over: logarithms of what stands above the line.
        under: logarithms of what stands below it.
        sizes: how many independent values each is worth (`effective_sizes`); None for their numbers.

    Raises:
        ValueError: one of them is empty.
    """
    if not over or not under:
        raise ValueError("no values")
    centre = fmean(over) - fmean(under)
    worth = sizes or (len(over), len(under))
    if len(over) < 2 or len(under) < 2:
        return _exponential(Interval(centre))
    errors = [variance(sample) / size for sample, size in zip((over, under), worth, strict=True)]
    total = sum(errors)
    if total == 0:
        return _exponential(Interval(centre, centre, centre))
    # shares of the whole, since squares of tiny variances would vanish
    shares = [(error / total) ** 2 for error in errors]
    degrees = 1 / (shares[0] / (worth[0] - 1) + shares[1] / (worth[1] - 1))
    half = t_quantile(confidence, degrees) * math.sqrt(total)
    return _exponential(Interval(centre, centre - half, centre + half))


def _exponential(logs: Interval) -> Interval:
    """Return the ratio whose logarithm an interval is of."""
    if logs.low is None or logs.high is None:
        return Interval(_exp(logs.value))
    low, high = _exp(logs.low), _exp(logs.high)
    return Interval(min(max(_exp(logs.value), low), high), low, high)


def _exp(log: float) -> float:
    # what lies past e^50 says "unknown": a fifty-fold difference is far outside any use
    return math.exp(min(max(log, -50.0), 50.0))


def outcome(speedup: Interval, repetitions: int) -> Outcome:
    """Judge a speed-up (reference ÷ this) from its interval.

    `faster` and `slower` ask that the interval excludes 1 and the effect is at least 1 %; `same` that
    it lies within ±3 % of 1. Everything else, and fewer than four repetitions, is `inconclusive`.
    """
    if speedup.low is None or speedup.high is None or repetitions < MIN_GENERATIONS:
        return "inconclusive"
    if speedup.low > 1 and speedup.value >= 1 + EFFECT:
        return "faster"
    if speedup.high < 1 and speedup.value <= 1 / (1 + EFFECT):
        return "slower"
    if speedup.low >= 1 - SAME_WITHIN and speedup.high <= 1 + SAME_WITHIN:
        return "same"
    return "inconclusive"


def settled(ratio: Interval, repetitions: int) -> bool:
    """Whether a ratio is known well enough to stop measuring, going by its width and never by its outcome.

    Its half-width, relative to the ratio, is at most 2 % or a quarter of the effect, whichever is more.
    Fewer than four repetitions settle nothing.
    """
    half = ratio.half_width
    if half is None or repetitions < MIN_GENERATIONS:
        return False
    effect = abs(ratio.value - 1)
    return half / ratio.value <= max(SETTLED_WITHIN, SETTLED_EFFECT_SHARE * effect)


LEAST_STEPS = 5
"""The fewest steps of a block: its halves are compared."""


def halves_agree(values: Sequence[float], within: float = 0.05) -> bool:
    """Whether the halves of a series have one mean, within 5 % or twice the noise of their difference.

    A trend or a step inside a block means that it was not steady. Fewer than four values always agree.
    """
    middle = len(values) // 2
    if middle < 2:
        return True
    first, second = values[:middle], values[middle:]
    noise = math.hypot(stdev(first) / math.sqrt(len(first)), stdev(second) / math.sqrt(len(second)))
    return abs(fmean(first) - fmean(second)) <= max(within * fmean(values), 2 * noise)


@lru_cache(maxsize=1024)
def t_quantile(confidence: float, degrees: float) -> float:
    """Return t such that a Student's t variable lies within ±t with probability `confidence`.

    Args:
        confidence: two-sided, between 0 and 1.
        degrees: degrees of freedom, above 0; may be fractional (Welch).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    if degrees <= 0:
        raise ValueError(f"{degrees} degrees of freedom")
    low, high = 0.0, 2.0
    while _t_within(high, degrees) < confidence:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_within(middle, degrees) < confidence else (low, middle)
    return (low + high) / 2


def _t_within(t: float, degrees: float) -> float:
    """Probability that |T| ≤ t: 1 − I_x(ν/2, 1/2) with x = ν/(ν + t²) (Abramowitz & Stegun 26.7.1)."""
    return 1 - _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function by Lentz's continued fraction (A&S 26.5.8)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(log_front + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    d = 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    c, total = 1.0, d
    for m in range(1, 400):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            d = 1 + term * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + term / c
            c = c if abs(c) > tiny else tiny
            change = c * d
            total *= change
        if abs(change - 1) < 1e-14:
            break
    return front * total
