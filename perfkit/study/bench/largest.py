"""The largest batch that fits, by bisection: every size is tried in a fresh process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perfkit.errors import UsageError

PRECISE_RATIO = 1.025
"""The search ends when the smallest batch that failed is at most this many times the largest that fit."""
HEADROOM_SHARE = 0.02
"""A long run needs a little more than a few steps do, since memory fragments: so much is left free, and
as much again until a rehearsal of a whole generation fits."""


@dataclass(frozen=True, kw_only=True)
class Largest:
    """What was found."""

    batch_size: int
    """The batch to train with."""
    fit: int
    """The largest that trained for a few steps."""
    too_large: int | None
    """The smallest that did not; None when every batch up to the whole dataset fits."""
    trials: int

    def sentence(self) -> str:
        """Say it, with the margin."""
        if self.too_large is None:
            return f"batch {self.batch_size} fits: it is all the samples of an epoch"
        return (
            f"batch {self.batch_size} is {1 - self.batch_size / self.fit:.1%} below the largest that"
            f" ran a few steps, {self.fit};"
            f" {self.too_large} ran out of memory; {self.trials} sizes tried"
        )


def largest_batch(
    fits: Callable[[int], bool], rehearsal: Callable[[int], bool], *, start: int, most: int
) -> Largest:
    """Double from `start` until a batch does not fit, then bisect, then make sure.

    Args:
        fits: whether a few steps at a batch size stay within memory.
        rehearsal: whether all of a generation does.
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
    chosen = fit if failed is None else max(1, int(fit * (1 - HEADROOM_SHARE)))
    while True:
        trials += 1
        if rehearsal(chosen):
            return Largest(batch_size=chosen, fit=fit, too_large=failed, trials=trials)
        if chosen <= start:
            raise UsageError(
                f"batch {start} does not fit", hint="start from a smaller --image-size"
            )
        chosen = max(start, int(chosen * (1 - HEADROOM_SHARE)))
