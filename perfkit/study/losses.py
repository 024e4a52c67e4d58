"""Losses of a row held against FP32's: distances and their tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations


def distance(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Largest distance of two loss traces, step by step; None without a common step.

    In units of the first loss of `theirs`: relative to each step's own it would grow without bound
    where a few steps on a few batches already bring the loss near zero.
    """
    if not ours or not theirs or not theirs[0]:
        return None
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=False)) / abs(theirs[0])


def tolerance(traces: Sequence[Sequence[float]]) -> float | None:
    """How far FP32's own losses lie apart over seeds; None with fewer than two."""
    each = [d for a, b in combinations(traces, 2) if (d := distance(a, b)) is not None]
    return max(each, default=None)
