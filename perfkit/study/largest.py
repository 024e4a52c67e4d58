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

FLOOR = 2
"""No smaller batch is tried: BatchNorm refuses a single sample."""


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
    took_s: float = 0.0
    """How long the search took."""

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
    """Double from `start` until a batch does not fit, or halve until one does, then bisect, then make sure.

    Args:
        fits: whether a few steps at a batch size stay within memory.
        rehearsal: whether all of a generation does.
        start: a size that may fit.
        most: no larger one is of use.

    Raises:
        UsageError: not even a batch of `FLOOR` fits, or none above half of what ran a few steps.
    """
    trials = 1
    fit, failed = start, None
    while not fits(fit):
        if fit <= FLOOR:
            raise _too_large(fit)
        trials += 1
        fit, failed = max(FLOOR, fit // 2), fit
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
    least = min(fit, FLOOR)
    chosen = fit if failed is None else max(least, int(fit * (1 - HEADROOM_SHARE)))
    while True:
        trials += 1
        if rehearsal(chosen):
            return Largest(batch_size=chosen, fit=fit, too_large=failed, trials=trials)
        if chosen <= max(least, fit // 2):
            raise _too_large(chosen)
        chosen = max(least, fit // 2, int(chosen * (1 - HEADROOM_SHARE)))


def _too_large(batch_size: int) -> UsageError:
    return UsageError(f"batch {batch_size} does not fit", hint="start from a smaller --image-size")
