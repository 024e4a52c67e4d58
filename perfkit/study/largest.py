"""The largest batch that fits, by bisection: every size is tried in a fresh process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perfkit.errors import UsageError

PRECISE_RATIO = 1.025
"""The search ends when the smallest batch that failed is at most this many times the largest that fit."""


@dataclass(frozen=True, kw_only=True)
class Largest:
    """What was found."""

    batch_size: int
    """The largest that trained."""
    too_large: int | None
    """The smallest that did not; None when every batch up to the whole dataset fits."""
    trials: int

    def sentence(self) -> str:
        """Say it, with the margin."""
        if self.too_large is None:
            return f"batch {self.batch_size} fits: it is all the samples of an epoch"
        margin = self.too_large / self.batch_size - 1
        return (
            f"batch {self.batch_size} is the largest that fits: {self.too_large}"
            f" ({margin:.1%} more) ran out of memory; {self.trials} sizes tried"
        )


def largest_batch(fits: Callable[[int], bool], *, start: int, most: int) -> Largest:
    """Double from `start` until a batch does not fit, then bisect.

    Args:
        fits: whether training at a batch size stays within memory.
        start: a size that should fit.
        most: no larger one is of use.

    Raises:
        UsageError: not even `start` fits.
    """
    trials = 1
    if not fits(start):
        raise UsageError(f"batch {start} does not fit", hint="start from a smaller --image-size")
    fit, failed = start, None
    while failed is None and fit < most:
        size = min(2 * fit, most)
        trials += 1
        if fits(size):
            fit = size
        else:
            failed = size
    while failed is not None and failed > max(fit * PRECISE_RATIO, fit + 1):
        size = (fit + failed) // 2
        trials += 1
        if fits(size):
            fit = size
        else:
            failed = size
    return Largest(batch_size=fit, too_large=failed, trials=trials)
