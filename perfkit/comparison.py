"""The answer of `perfkit compare`: a Document without rows of its own, and what became of two runs' rows.

It shares the head of every Document (`schema_version`, `kind` `compare`, `environment` and `base` of
NEW, `warnings`, `unavailable`), so whoever reads Documents can read it; `rows` is empty, `compared` is
what there is. Every ratio of time is OLD ÷ NEW: above 1 is faster, as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from perfkit import units
from perfkit.document import Document, Note, Speedup, Status
from perfkit.stats import Interval

MemoryOutcome = Literal["more", "less", "same"]
By = Literal["epoch", "step", "sample"]
DifferenceOf = Literal["environment", "settings"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One of the two runs."""

    name: str
    """What the user called it."""
    command: str
    created: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Something besides the measured rows that is not the same in both runs."""

    of: DifferenceOf
    name: str
    old: Any
    """Null where OLD does not have it."""
    new: Any


@dataclass(frozen=True, kw_only=True)
class Side:
    """A row in one of the runs."""

    status: Status
    message: str | None = None
    epoch_time_s: Interval | None = None
    step_time_s: Interval | None = None
    """Mean of the steps that are compared; null where epochs or samples are."""
    sample_time_s: Interval | None = None
    """Likewise, of a sample."""
    steps: int | None = None
    """Steps of a watched training that are compared, by whatever they are."""
    generations: int = 0
    peak_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """One key and what became of it. A null value has its reason in `unavailable`."""

    key: str
    arch: str
    variant: str
    old: Side | None = None
    """Null when OLD has no row of this key."""
    new: Side | None = None
    speedup: Speedup | None = None
    """OLD's time ÷ NEW's (`Comparison.by`), unpaired: the machine's drift between the runs is in it."""
    more_steps: int | None = None
    """Of a watched training whose comparison is inconclusive: some so many steps more in each run would
    settle it, were they like those seen; null where it is settled, or where a hundredfold would not do."""
    more_generations: int | None = None
    """Likewise, of the comparison that counts where generations are compared."""
    against_reference: Speedup | None = None
    """NEW's speed-up ÷ OLD's, each against the reference of its own run: what befell both is not in it."""
    memory_on: Literal["device", "host"] | None = None
    """Whose peak was compared: the device allocator's, or the trainer's resident memory."""
    memory_ratio: float | None = None
    """Peak memory of NEW ÷ OLD: above 1 is more."""
    memory_outcome: MemoryOutcome | None = None
    notes: tuple[Note, ...] = ()
    unavailable: dict[str, str] = field(default_factory=dict)

    @property
    def judged(self) -> Speedup | None:
        """The comparison that counts: against the reference where there is one, else the direct one."""
        return self.against_reference or self.speedup

    @property
    def fails_now(self) -> bool:
        """Whether the row was measured in OLD and failed in NEW; what NEW's machine lacks is no failure."""
        return _status(self.old) == "ok" and _status(self.new) not in ("ok", "unsupported", None)


@dataclass(frozen=True, kw_only=True)
class Comparison(Document):
    """Two runs, row by row."""

    old: Source
    new: Source
    reference: str | None = None
    """Key of the reference that both runs share; null when they do not."""
    same_study: bool = False
    """Both are one and the same study: nothing is compared, and every row is the same."""
    by: By = "epoch"
    """Whose time is compared; where it is not an epoch's, `unavailable` says why."""
    compared: tuple[ComparedRow, ...] = ()
    """Rows of both runs in NEW's order, then those that only OLD has."""
    differences: tuple[Difference, ...] = ()
    gates: tuple[str, ...] = ()
    """What `--fail-on` asked for."""
    tripped: tuple[Note, ...] = ()
    """The gates that tripped, a note per row."""
    undecided: tuple[Note, ...] = ()
    """Those that did not and may yet, a note per row with what would decide it."""


def would_tell(steps: int | None, generations: int | None) -> str | None:
    """Return how much more would settle a comparison, in words; None where neither is known."""
    if steps is not None:
        return f"some {units.significant(steps)} steps more in each run would tell"
    if generations is not None:
        plural = "" if generations == 1 else "s"
        return f"some {generations} generation{plural} more of each run would tell"
    return None


def _status(side: Side | None) -> Status | None:
    return None if side is None else side.status
