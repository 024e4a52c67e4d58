"""What two runs are compared by: their epochs, or what both have seen of steps. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from perfkit.comparison import By
from perfkit.document import Document, Row
from perfkit.stats import Interval, effective_sizes, mean_interval

ATTACHED = "run"
"""Kind of a Document whose rows hold windows of one process in the place of generations."""
_FIRST, _LATER = "first_epoch", "later_epochs"


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What of each row is held against the other run's."""

    by: By = "epoch"
    part: str | None = None
    """Of a watched training: which windows of steps; null where generations are compared."""
    reason: str | None = None
    """Why epochs are not compared, as a code; null when they are."""

    def times_s(self, row: Row, document: Document) -> list[float]:
        """Return a row's values in order: of epochs, of steps, or of samples; none where it failed."""
        if row.status != "ok":
            return []
        if self.part is None:
            return list(row.generation_epoch_time_s)
        windows = row.windows.get(self.part)
        found = [] if windows is None else list(windows.step_time_s)
        if self.by == "step" or not found:
            return found
        if self.by == "sample":
            size = _batch_size(document)
            return [step_s / size for step_s in found] if size else []
        steps_s = row.epoch_parts_s.get("steps", 0.0)
        other_s, mean_s = sum(row.epoch_parts_s.values()) - steps_s, fmean(found)
        return [other_s + steps_s * step_s / mean_s for step_s in found]

    def mean_s(self, row: Row, document: Document) -> Interval | None:
        """Return the mean of those values with its interval; None where there are none."""
        values = self.times_s(row, document)
        if self.part is None or not values:
            return None
        (size,) = effective_sizes(values)
        return mean_interval(values, size=size)

    def steps(self, row: Row) -> int | None:
        """Return how many steps the windows of a row hold; None where generations are compared."""
        windows = row.windows.get(self.part or "")
        return None if windows is None else windows.steps


def basis_of(old: Document, new: Document) -> Basis:
    """Return what two runs are compared by.

    Watched trainings whose epochs have the same number of samples, but for one batch (the last one may be
    partial, or dropped), are compared by epoch once both have seen enough of later epochs. Else by step, and
    by sample where their batches differ in size: of later epochs if both have them, else of the first one.
    """
    if ATTACHED not in (old.kind, new.kind):
        return Basis()
    began = [_all_have(_LATER, document, other) for document, other in ((old, new), (new, old))]
    if not all(began):
        only = "old" if began[1] else "new"
        reason = f"first_epoch_{only if any(began) else 'both'}"
    elif _same_length(old, new):
        return Basis(part=_LATER)
    else:
        reason = "other_length"
    alike = _batch_size(old) == _batch_size(new)
    return Basis(
        by="step" if alike else "sample", part=_LATER if all(began) else _FIRST, reason=reason
    )


def _all_have(part: str, document: Document, other: Document) -> bool:
    """Whether all rows of a run that the other has, too, and that were measured, have such windows."""
    keys = {row.key for row in other.rows}
    rows: Sequence[Row] = [r for r in document.rows if r.key in keys and r.status == "ok"]
    return all(part in row.windows and row.epoch_time_s is not None for row in rows)


def _same_length(old: Document, new: Document) -> bool:
    sizes = [_batch_size(document) or 1 for document in (old, new)]
    one, other = (
        int(document.base.get("steps_per_epoch", 0)) * size
        for document, size in zip((old, new), sizes, strict=True)
    )
    return abs(one - other) < max(sizes)


def _batch_size(document: Document) -> int | None:
    """Samples of a batch; None where they were not counted."""
    size = document.base.get("batch_size")
    counted = any(row.samples_per_sec is not None for row in document.rows)
    return size if counted and isinstance(size, int) and size > 0 else None


def logarithms(values: Sequence[float]) -> list[float]:
    """Return their logarithms; none where one of them has none."""
    return [math.log(v) for v in values] if all(v > 0 for v in values) else []
