"""`--fail-on`: what of a comparison makes a CI job fail. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from perfkit import units
from perfkit.comparison import ComparedRow, would_tell
from perfkit.document import Note, Speedup
from perfkit.errors import UsageError
from perfkit.stats import Interval

Kind = Literal["slower", "memory", "inconclusive"]
DRIFT = 0.05
"""How much more room `slower` gives a row that has no reference to be held against: the machine's drift
between two runs is in its ratio and not in its interval."""
_NO_TIME = "there is nothing to compare its time by"
EXAMPLE = "slower:5%,memory:5%,inconclusive"


@dataclass(frozen=True)
class Gate:
    """One condition."""

    kind: Kind
    limit: float = 0.0
    """How much longer an epoch may take, or how much higher memory may peak: a share of OLD's."""

    def trips(self, row: ComparedRow) -> str | None:
        """Say why a row trips it; None when it does not."""
        if self.kind == "inconclusive":
            return _open(row)
        if self.kind == "memory":
            ratio = row.memory_ratio
            over = ratio is not None and ratio > 1 + self.limit
            return f"peak memory is {units.ratio(ratio)}" if over else None
        judged = row.judged
        if judged is None or judged.outcome == "inconclusive" or not self.is_beyond(row, judged):
            return None
        return _as_fast(judged)

    def is_beyond(self, row: ComparedRow, ratio: Interval | Speedup) -> bool:
        """Whether the whole interval of a ratio lies beyond: what is merely likely does not stop a merge."""
        drift = DRIFT if row.against_reference is None else 0.0
        return ratio.high is not None and ratio.high * (1 + self.limit) * (1 + drift) < 1

    def is_open(self, row: ComparedRow) -> str | None:
        """Say why a row that does not trip it may yet; None where it trips, or is well within the limit.

        It is beyond the limit as measured, or what the limit is on is not known.
        """
        if self.kind == "inconclusive" or self.trips(row) is not None or not _is_measured(row):
            return None
        if self.kind == "memory":
            return "peak memory is not known in both runs" if row.memory_ratio is None else None
        judged = row.judged
        if judged is None:
            return _NO_TIME
        is_near = judged.value * (1 + self.limit) < 1
        return f"{_as_fast(judged)}, beyond the limit, but not surely so" if is_near else None

    def __str__(self) -> str:
        percent = units.significant(100 * self.limit).rstrip("0").rstrip(".") or "0"
        return self.kind if self.kind == "inconclusive" else f"{self.kind}:{percent}%"


def parse(text: str | None) -> tuple[Gate, ...]:
    """Read `slower:5%,memory:5%,inconclusive`.

    Raises:
        UsageError: a part of it is no gate.
    """
    if text is None:
        return ()
    return tuple(_gate(part.strip()) for part in text.split(","))


def tripped(gates: Sequence[Gate], rows: Sequence[ComparedRow]) -> tuple[Note, ...]:
    """Return what tripped, gate by gate."""
    return tuple(
        Note(code=str(gate), text=f"{row.key}: {reason}")
        for gate in gates
        for row in rows
        if (reason := gate.trips(row)) is not None
    )


def undecided(
    gates: Sequence[Gate], rows: Sequence[ComparedRow], more: Callable[[ComparedRow, Gate], str]
) -> tuple[Note, ...]:
    """Return what did not trip and may yet, gate by gate, with what would decide it.

    Args:
        more: says that of a row whose time lies beyond a gate's limit as measured.
    """
    return tuple(
        Note(code=str(gate), text=f"{row.key}: {reason}{tail}")
        for gate in gates
        for row in rows
        if (reason := gate.is_open(row)) is not None
        for tail in [f"; {more(row, gate)}" if gate.kind == "slower" and row.judged else ""]
    )


def _as_fast(judged: Speedup) -> str:
    value, interval = units.ratio_interval(judged.value, judged.low, judged.high)
    return f"it is {value} as fast {interval}"


def _is_measured(row: ComparedRow) -> bool:
    """Whether it was, in both runs."""
    return row.old is not None and row.new is not None and row.old.status == row.new.status == "ok"


def _open(row: ComparedRow) -> str | None:
    if row.new is None:
        return "it is not in NEW"
    if row.judged is None and _is_measured(row):
        return _NO_TIME
    if row.judged is not None and row.judged.outcome == "inconclusive":
        more = would_tell(row.more_steps, row.more_generations)
        return f"whether it is slower is not settled{f'; {more}' if more else ''}"
    return None


def _gate(part: str) -> Gate:
    kind, colon, limit = part.partition(":")
    if kind == "inconclusive" and not colon:
        return Gate("inconclusive")
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?%", limit)
    if kind in ("slower", "memory") and match is not None:
        return Gate("slower" if kind == "slower" else "memory", float(match[1]) / 100)
    wrong = (
        f"{kind} needs a limit in per cent and nothing after it"
        if kind in ("slower", "memory")
        else f"{kind!r} takes no limit"
        if kind == "inconclusive"
        else f"{kind!r} is none of {', '.join(get_args(Kind))}"
    )
    raise UsageError(f"--fail-on {part}: {wrong}", hint=f"for example --fail-on {EXAMPLE}")
