"""The Document: what every command answers with, and the types that cross rooms.

Format history (`schema_version`):
    1  first version: bench. `diagnosis` was always null.
    2  `diagnosis` is typed. Rows: `phases_s` has `waiting` and `transfer` in place of `data_wait` where it is
       known whether a batch was ready; `phases_clock`, `not_ready_share`, `run_delay_s`; `startup_s` has
       `first_step_cold` beside `first_step`, which is that of later processes; `loss` is empty for the FP32
       row that others are held against, and `tolerance` is of the row's own precision.
    3  each value once: a row's `memory` has no longer the peaks that are fields of the row, nor its
       `telemetry` the GPU's utilisation.
    4  a cause has `where`.
`perfkit.documentfile` reads and writes them: of every version; what is read is of this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from perfkit.stats import Interval, Outcome

SCHEMA_VERSION = 4

Status = Literal[
    "ok", "oom", "timeout", "compile_failed", "nan_loss", "killed", "unsupported", "error"
]
Severity = Literal["high", "moderate", "low"]
Clock = Literal["host", "device"]
Basis = Literal["arithmetic", "trialled", "bound"]
"""How a prediction came about: the pipeline model, a short trial that feeds it, or Amdahl's bound."""


@dataclass(frozen=True, kw_only=True)
class Speedup:
    """Reference's forecast epoch time ÷ this row's, above 1 is faster, with what it is judged to be."""

    value: float
    low: float | None
    high: float | None
    outcome: Outcome

    def __post_init__(self) -> None:
        Interval(self.value, self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How single steps vary: median and the 10th and 90th percentile."""

    median: float
    p10: float
    p90: float


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something a reader must know of one row or of the whole answer; the code is stable, the text is not.

    `perfkit.notes` has the codes and what they mean.
    """

    code: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A cause of lost time, and what says so."""

    kind: str
    """`input_bound`, `contended`, `compute_bound` …: a name of a rule."""
    severity: Severity
    stage: str | None = None
    """Where in it, e.g. `decode` or `transfer` of `input_bound`; null where it has no stages."""
    where: str | None = None
    """The function, the user's own or a library's, that most of it was seen in, with its line:
    `augment (data.py:12)`; null where none was."""
    flags: tuple[str, ...] = ()
    removable_s: Interval | None = None
    """Seconds an epoch would save if this one cause were gone; null where it cannot be told."""
    evidence: tuple[str, ...] = ()
    """Its witnesses, a sentence each."""


@dataclass(frozen=True, kw_only=True)
class Finding(Cause):
    """What a rule saw: a cause, how much of the epoch it takes, and what to do next."""

    share: float | None
    """Part of the epoch's wall clock, 0–1; null where only a run without it would tell."""
    message: str
    try_next: str
    """A command or a change to make, one sentence."""


@dataclass(frozen=True, kw_only=True)
class Verdict(Cause):
    """A cause that was weighed against the others, and what it costs."""

    share: Interval
    """Part of the epoch's wall clock, 0–1."""
    seconds_per_epoch: float


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One of the costliest operators of a step."""

    name: str
    share: float
    """Part of the time of all operators of a step, 0–1: of the device's where there is one."""
    where: str | None = None
    """The function that called it, by its first line: `net.py:7 (forward)`; null without stacks."""


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """A change to try: a hypothesis, until it has run."""

    name: str
    basis: Basis
    variant: str | None = None
    """The variant that tries it, e.g. `num_workers=4`; null where it takes a change of the code."""
    why: str = ""
    """What was seen that it answers, one sentence."""
    risk: str = ""
    """What can go wrong, and what it changes in the training; one sentence."""
    command: str | None = None
    """The command that tries it."""
    predicted_speedup: Interval | None = None
    """Epoch now ÷ epoch with it."""
    saves_s: Interval | None = None
    """Seconds of an epoch that it is predicted to save."""
    measured_speedup: Interval | None = None
    """Null until it has run."""
    snippet: str = ""
    """Lines to paste."""
    changes_training: bool = False
    """Whether the training comes out another one: its precision, batch or network."""
    answers: tuple[str, ...] = ()
    """The verdicts that it is meant for: a kind, or one stage of it (`input_bound/decode`)."""

    def answers_to(self, verdict: Verdict) -> bool:
        """Return whether it is meant for a verdict."""
        return bool({verdict.kind, f"{verdict.kind}/{verdict.stage}"} & {*self.answers})


@dataclass(frozen=True, kw_only=True)
class NaiveReading:
    """What `nvidia-smi`'s utilisation alone suggests, and whether that is right here."""

    gpu_util_share: float
    blames: Literal["loader", "model"] | None
    """Under 80 % the loader, over 95 % the model, in between nothing."""
    is_right: bool
    why: str


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What holds a training back. A null value has its reason in `unavailable`."""

    primary: str
    """Kind of the first verdict; `balanced` or `inconclusive` where there is none."""
    verdicts: tuple[Verdict, ...] = ()
    """Ranked by removable seconds."""
    breakdown_s: dict[str, float] = field(default_factory=dict)
    """Exclusive seconds of an epoch; their sum is its wall clock."""
    differential_s: dict[str, Interval] = field(default_factory=dict)
    """Seconds per step between arms: what input costs, what contention costs."""
    loader_samples_per_sec: float | None = None
    """What the loader delivers alone."""
    compute_samples_per_sec: float | None = None
    """What training takes when its batches are there."""
    actual_samples_per_sec: float | None = None
    workers_needed: int | None = None
    operators: tuple[Operator, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    """Ranked by the seconds they save at the low end."""
    naive_nvidia_smi: NaiveReading | None = None
    inconclusive_because: str | None = None
    """What to run to conclude is in it; null where there is a verdict."""
    unavailable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StepWindows:
    """Steps of a watched training in their order, cut into windows of equal length."""

    step_time_s: tuple[float, ...]
    """Mean step of each window."""
    steps: int
    """In all of them."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One configuration and what was measured of it. A null value has its reason in `unavailable`, and the
    members of mappings are told in `perfkit.members`."""

    key: str
    """`arch/variant`; unique in a Document."""
    arch: str
    variant: str
    status: Status
    message: str | None = None
    """Why the status is not `ok`."""
    epoch_time_s: Interval | None = None
    """Forecast of one epoch from its parts."""
    epoch_parts_s: dict[str, float] = field(default_factory=dict)
    """The parts of that forecast; their sum is its value."""
    step_time_s: Spread | None = None
    phases_s: dict[str, float] = field(default_factory=dict)
    """Mean seconds of a step in each phase; their sum is the mean step time. Where it is known whether a
    batch was ready, `waiting` (it was not) and `transfer` (it was) take the place of `data_wait`."""
    phases_clock: Clock | None = None
    """Whose clock the phases were read on; null when there are none."""
    not_ready_share: float | None = None
    """Part of the steps whose next batch in order was not ready when it was asked for."""
    run_delay_s: float | None = None
    """Mean seconds of a step that the trainer's thread could run and had no core (Linux)."""
    exposed_wait_s: float | None = None
    """Mean seconds of a step that the device idled for its batch."""
    samples_per_sec: float | None = None
    speedup: Speedup | None = None
    step_speedup: Speedup | None = None
    memory_ratio: float | None = None
    """Peak memory ÷ the reference's."""
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    peak_rss_bytes: int | None = None
    memory: dict[str, int | None] = field(default_factory=dict)
    """What is known besides these peaks: those of the first steps (`cold_…`), allocator retries, the
    device's total, the workers' PSS."""
    gpu_util_share: float | None = None
    """Part of the time in which at least one kernel ran (NVML); not how full the device was."""
    telemetry: dict[str, float | None] = field(default_factory=dict)
    """What else the device and the host told meanwhile."""
    mfu: float | None = None
    """Model FLOP/s ÷ the device's published peak for this precision."""
    gemm_ceiling_share: float | None = None
    """Model FLOP/s ÷ the rate of a large matrix product measured in place."""
    flops_per_sample: int | None = None
    startup_s: dict[str, float] = field(default_factory=dict)
    """One-time costs: `worker_start`, `first_batch`, and the first step (with compile) of the row's first
    process, `first_step_cold`, and of later ones, which find compile's cache warm, `first_step`."""
    compile_break_even_epochs: float | None = None
    """Epochs after which compiling with a cold cache has paid for itself; null when it never does or was not
    asked."""
    loader: dict[str, float | None] = field(default_factory=dict)
    """Worker-side means per batch: fetch, its CPU part, collate, hand-over; busy share; queue depth."""
    loss: dict[str, float | None] = field(default_factory=dict)
    """Largest distance of losses to FP32's in units of FP32's first loss, and the tolerance: how far errors
    of the size of this row's rounding take FP32's own. Empty where there is no FP32 row to hold against."""
    effective: dict[str, str] = field(default_factory=dict)
    """Settings read back from torch, never echoed."""
    overhead_share: float | None = None
    """perfkit's own calls ÷ the step time."""
    generations: int = 0
    steps_measured: int = 0
    generation_epoch_time_s: tuple[float, ...] = ()
    """The forecast of each generation: what `compare` takes its interval from."""
    generation_speedup: tuple[float, ...] = ()
    windows: dict[str, StepWindows] = field(default_factory=dict)
    """Of a watched training, what `compare` takes its interval from: `first_epoch`, `later_epochs`."""
    generation_full_epoch_s: tuple[float, ...] = ()
    """Real epochs beside the forecast, without periodic work; empty when none were asked for."""
    notes: tuple[Note, ...] = ()
    unavailable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Document:
    """The answer of one command, whole: what `--json` writes and every report is made from."""

    kind: str
    """`bench`, `compare`, `diagnose`, `run`, `monitor` or `doctor`."""
    command: str
    """The command line that makes it again."""
    created: str
    """UTC, ISO 8601."""
    environment: dict[str, Any]
    base: dict[str, Any]
    """The base settings: the plain flags every row shares."""
    rows: tuple[Row, ...] = ()
    diagnosis: Diagnosis | None = None
    findings: tuple[Finding, ...] = ()
    """What to try next, from the rules that need no more than rows."""
    method: dict[str, Any] = field(default_factory=dict)
    """How it was measured: generations, blocks, budget, time used, own cost."""
    warnings: tuple[Note, ...] = ()
    unavailable: dict[str, str] = field(default_factory=dict)
    complete: bool = True
    """False while it is being measured, or when it was interrupted."""
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        keys = [row.key for row in self.rows]
        if len(set(keys)) < len(keys):
            raise ValueError(f"rows: a key is there twice among {', '.join(keys)}")
