"""What the engine tells while it works: typed values, shown by whoever started it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preparing:
    """Data is being made; `done` of `total` so far."""

    done: int
    total: int
    path: str


@dataclass(frozen=True)
class Trying:
    """Whether a batch of this size fits into memory is being tried."""

    batch_size: int


@dataclass(frozen=True)
class Tried:
    """A batch size was tried."""

    batch_size: int
    rehearsal: bool
    """All of a generation was run, not a few steps."""
    fits: bool
    took_s: float


@dataclass(frozen=True)
class GenerationStarted:
    """Processes of a generation are starting."""

    number: int
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Doing:
    """A process has the baton: `what` is warm-up, a block or an edge."""

    generation: int
    key: str
    what: str
    done: int
    total: int


@dataclass(frozen=True)
class TurnRepeated:
    """What was timed was disturbed, by somebody else's load or a GPU that slowed down, and is run again."""

    key: str
    foreign_cpu_s: float
    foreign_gpu_share: float = 0.0
    """Part of the time in which kernels of others ran."""
    throttled: bool = False
    """The GPU slowed itself down."""


@dataclass(frozen=True)
class ProcessFailed:
    """A process ended with a status that is not ok; the others go on."""

    key: str
    status: str
    message: str


@dataclass(frozen=True)
class PartLost:
    """Something that follows the timed blocks failed: its own value is missing, and no more."""

    key: str
    part: str
    message: str


@dataclass(frozen=True)
class GenerationDone:
    """A generation is stored."""

    number: int
    cost_s: float


Event = (
    Preparing
    | Trying
    | Tried
    | GenerationStarted
    | Doing
    | TurnRepeated
    | ProcessFailed
    | PartLost
    | GenerationDone
)
