"""What came back: plain values read from run folders, stored whole so that a study can be resumed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from perfkit.document import Clock, Status
from perfkit.engine.trace import Trace


@dataclass(frozen=True, kw_only=True)
class BlockResult:
    """One timed block. Per-step values are means over its steps, in seconds."""

    number: int
    arm: str
    palindrome: int
    steps: int
    samples: int
    start_ns: int
    end_ns: int
    deferred_s: float
    """Production time of batches drained from the ready queue: not paid in this block, added to it."""
    step_times_s: tuple[float, ...]
    """On the device's clock where there is one, else the host's."""
    phases_s: dict[str, float]
    """Where it is known whether a batch was ready, `waiting` and `transfer` take the place of `data_wait`."""
    exposed_wait_s: float | None
    queue_start: int
    queue_end: int
    steady: bool
    unsteady_because: str | None
    disturbed: bool
    """Somebody else's load, on our cores or on the device, can have slowed it."""
    foreign_cpu_s: float | None
    """CPU seconds of processes that are not ours on our cores; None where it cannot be read."""
    own_s: float
    """Host time inside the recorder."""
    loader: dict[str, float] = field(default_factory=dict)
    """Worker-side means per batch and the workers' busy share; empty when nothing was recorded."""
    phases_clock: Clock | None = None
    """Whose clock the phases were read on; None when there are none."""
    not_ready_share: float | None = None
    """Part of the steps whose next batch in order was not ready when it was asked for; None where unknown."""
    run_delay_s: float | None = None
    """Seconds per step that the trainer's thread could run and had no core; None where it cannot be read."""
    waits_s: tuple[float, ...] = ()
    """Exposed wait of each step for its batch, beside `step_times_s`; empty where one is unknown."""
    ready: tuple[int, ...] = ()
    """Of each step, whether its batch was ready: 1, 0, or -1 unknown."""
    leads_s: tuple[float, ...] = ()
    """How far the host was ahead of the device when each step asked for its batch, beside `step_times_s`;
    empty where one is unknown."""
    ahead_s: float | None = None
    """How far ahead it was at its furthest (`perfkit.engine.phases.ahead_s`)."""
    drained: int = 0
    """Batches that a `replay_running` arm took from the workers and threw away."""
    drain_s: float = 0.0
    """Host time of that, to be taken off the block."""
    workers_cpu_s: float | None = None
    """CPU seconds of the loader workers during the block; None where it cannot be read."""
    throttled: bool = False
    """The GPU slowed itself down meanwhile (`perfkit.telemetry.gpu`)."""

    @property
    def wall_s(self) -> float:
        """Wall time of the block with the deferred production added back and the draining taken off."""
        return (self.end_ns - self.start_ns) * 1e-9 + self.deferred_s - self.drain_s

    @property
    def step_s(self) -> float:
        """Mean seconds of a step."""
        return self.wall_s / self.steps


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a profiler saw of a few steps, and what launching their operators costs; None is what was lost."""

    trace: Trace | None = None
    file: str = ""
    """The trace, relative to the study folder; empty where there is none."""
    synchronising: dict[str, float] | None = None
    """Calls per step that wait for the device, by place; None where there is no device."""
    operators: int | None = None
    """Operators that a step dispatches."""
    operators_share: float | None = None
    """They × what dispatching one takes ÷ the step."""
    fixed_share: float | None = None
    """A step of two samples ÷ one of a whole batch."""


@dataclass(frozen=True, kw_only=True)
class ProcessResult:
    """One training process of a generation, whatever became of it."""

    key: str
    status: Status
    message: str | None = None
    folder: str = ""
    """Relative to the study folder."""
    blocks: tuple[BlockResult, ...] = ()
    phases_s: dict[str, float] = field(default_factory=dict)
    """Means over all its real steps, where no block has phases of its own; else empty."""
    phases_clock: Clock | None = None
    startup_s: dict[str, float] = field(default_factory=dict)
    edges: dict[str, Any] = field(default_factory=dict)
    full_epoch_s: float | None = None
    """One real epoch without its periodic work; None when none was run."""
    memory: dict[str, int | None] = field(default_factory=dict)
    effective: dict[str, str] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    examined: dict[str, Any] = field(default_factory=dict)
    worker_stacks: tuple[dict[str, Any], ...] = ()
    """What its loader workers were seen in while they made batches."""
    loader_samples_per_sec: float | None = None
    """What the loader delivers with nobody training; None when it was not asked."""
    profile: Profile | None = None
    """None when it was not asked."""
    lost: dict[str, str] = field(default_factory=dict)
    """What failed once the blocks were timed, by name (`evaluation`, `losses`, `full_epoch` …), and how.
    The reason code of each is in `unavailable`."""
    unavailable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GenerationResult:
    """One finished generation: its processes and what it cost."""

    number: int
    group: int
    palindromes: int
    side_by_side: bool
    processes: tuple[ProcessResult, ...]
    cost_s: float
    """Wall seconds, all in."""
    palindrome_s: float
    """Wall seconds of one palindrome of blocks."""
    dropped: tuple[str, ...] = ()
    """Arms, and `load`, that were planned and for which there was no time."""
    examine_s: float = 0.0
    """Wall seconds of what only a first generation does."""

    def process(self, key: str) -> ProcessResult | None:
        """The process of one row, or None when it was not part of this generation."""
        return next((p for p in self.processes if p.key == key), None)
