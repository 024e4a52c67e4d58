"""Spending a time budget: which group runs next, and with how many palindromes.

A generation costs a start (fixed) and its palindromes. With within-generation variance w per
palindrome and b between generations, the interval after n generations of p palindromes has half-width
t(n − 1) · √((b + w ÷ p) ÷ n). The p is chosen that makes it smallest for the time that is left; extra
time buys generations, in the group whose widest interval is widest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from perfkit.stats import EARLY_END_CONFIDENCE, MIN_GENERATIONS, t_quantile

PALINDROMES = (1, 2, 3, 4)
FIRST_PALINDROMES = 2
BETWEEN = 0.03**2
"""Variance between generations of two identical processes, as measured on a noisy two-core machine;
used until three generations tell better."""
WITHIN = 0.03**2
"""Variance of the log ratio of one palindrome, likewise."""
SAFETY = 1.08
"""A generation may take this much longer than the last one did."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a generation of one group costs, in seconds."""

    fixed_s: float
    palindrome_s: float

    def of(self, palindromes: int) -> float:
        """Predicted seconds of a generation."""
        return SAFETY * (self.fixed_s + palindromes * self.palindrome_s)


def best_palindromes(
    *,
    done: int,
    left_s: float,
    costs: Costs,
    within: float | None,
    between: float | None,
    least: int = MIN_GENERATIONS,
) -> int | None:
    """Return how many palindromes the next generation should have; None when none fits.

    Fewer than four generations say nothing, so a p that reaches `least` comes before one that does not.

    Args:
        done: generations there are already.
        left_s: seconds that may still be spent on this group.
    """
    within = WITHIN if within is None else within
    between = BETWEEN if between is None or done < 3 else between
    best: tuple[tuple[bool, float], int] | None = None
    for palindromes in PALINDROMES:
        more = int(left_s // costs.of(palindromes))
        if more < 1:
            continue
        total = done + more
        width = half_width(total, palindromes, within, between)
        rank = (total < least, width)
        if best is None or rank < best[0]:
            best = (rank, palindromes)
    return None if best is None else best[1]


def half_width(generations: int, palindromes: int, within: float, between: float) -> float:
    """Expected half-width of the interval of a log ratio; infinite below two generations."""
    if generations < 2:
        return math.inf
    t = t_quantile(EARLY_END_CONFIDENCE, generations - 1)
    return t * math.sqrt((between + within / palindromes) / generations)
