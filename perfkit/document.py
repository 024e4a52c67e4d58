"""The Document: what every command answers with, and the types that cross rooms.

Format history (`schema_version`):
    1  first version: bench.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from perfkit.codec import from_json, json_text, to_json
from perfkit.errors import DamagedFile, LaterVersion, PerfkitError, UsageError
from perfkit.stats import Interval, Outcome

SCHEMA_VERSION = 1

Status = Literal[
    "ok", "oom", "timeout", "compile_failed", "nan_loss", "killed", "unsupported", "error"
]
Severity = Literal["high", "moderate", "low"]


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
    """Something a reader must know of one row or of the whole answer; the code is stable, the text is not."""

    code: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a rule saw: a cause, how much of the epoch it takes, and what to do next."""

    kind: str
    severity: Severity
    share: float
    """Part of the epoch's wall clock, 0–1."""
    message: str
    try_next: str
    """A command or a change to make, one sentence."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One configuration and what was measured of it. A null value has its reason in `unavailable`."""

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
    """Mean seconds of a step in each phase; their sum is the mean step time."""
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
    """Cold and warm peaks, allocator retries, the device's total, the workers' PSS."""
    gpu_util_share: float | None = None
    """Part of the time in which at least one kernel ran (NVML); not how full the device was."""
    telemetry: dict[str, float | None] = field(default_factory=dict)
    mfu: float | None = None
    """Model FLOP/s ÷ the device's published peak for this precision."""
    gemm_ceiling_share: float | None = None
    """Model FLOP/s ÷ the rate of a large matrix product measured in place."""
    flops_per_sample: int | None = None
    startup_s: dict[str, float] = field(default_factory=dict)
    """One-time costs: first batch, worker start, first step (with compile)."""
    compile_break_even_epochs: float | None = None
    """Epochs after which compiling has paid for itself; null when it never does or was not asked."""
    loader: dict[str, float | None] = field(default_factory=dict)
    """Worker-side means per batch: fetch, its CPU part, collate, hand-over; busy share; queue depth."""
    loss: dict[str, float | None] = field(default_factory=dict)
    """Largest distance of losses to FP32's in units of FP32's first loss, and the tolerance (spread of
    FP32 over seeds)."""
    effective: dict[str, str] = field(default_factory=dict)
    """Settings read back from torch, never echoed."""
    overhead_share: float | None = None
    """perfkit's own calls ÷ the step time."""
    generations: int = 0
    steps_measured: int = 0
    generation_epoch_time_s: tuple[float, ...] = ()
    """The forecast of each generation: what `compare` takes its interval from."""
    generation_speedup: tuple[float, ...] = ()
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
    diagnosis: dict[str, Any] | None = None
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


def dumps(document: Document) -> str:
    """Return the Document as indented JSON text with a final newline."""
    return json_text(to_json(document), indent=2) + "\n"


def loads(text: str, *, name: str = "the document") -> Document:
    """Rebuild a Document from its JSON text.

    Raises:
        LaterVersion: a later perfkit wrote it.
        DamagedFile: it is not JSON, or not a Document; the message says where.
    """
    try:
        data = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{name} is not JSON: {error}") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DamagedFile(f"{name} is not a perfkit document: it has no schema_version")
    if version > SCHEMA_VERSION:
        raise LaterVersion(
            f"{name} has schema_version {version}; this perfkit reads up to {SCHEMA_VERSION}",
            hint="read it with the perfkit that wrote it, or a later one",
        )
    try:
        return from_json(Document, data)
    except DamagedFile as error:
        raise DamagedFile(f"{name}: {error.message}") from error


def read(path: Path) -> Document:
    """Read a Document from a file; see `loads` for what is raised.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    return loads(text, name=str(path))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def write(document: Document, path: Path) -> None:
    """Write a Document so that the file is always whole: the old one or the new one.

    Raises:
        PerfkitError: the file cannot be written (no space, no permission).
    """
    write_text(path, dumps(document))


def write_text(path: Path, text: str) -> None:
    """Replace a text file in one step, in UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step; readers see the old content or the new, never a part.

    Raises:
        PerfkitError: the file cannot be written (no space, no permission).
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        hint = "free some space or name another place" if error.errno == errno.ENOSPC else None
        raise PerfkitError(f"cannot write {path}: {error.strerror or error}", hint=hint) from error
