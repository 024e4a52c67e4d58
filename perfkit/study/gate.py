"""`--fail-on`: what of a comparison makes a CI job fail. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from perfkit import units
from perfkit.comparison import ComparedRow
from perfkit.document import Note
from perfkit.errors import UsageError

Kind = Literal["slower", "memory", "inconclusive"]
DRIFT = 0.05
"""How much more room `slower` gives a row that has no reference to be held against: the machine's drift
between two runs is in its ratio and not in its interval."""
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
        if judged is None or judged.high is None or judged.outcome == "inconclusive":
            return None
        drift = DRIFT if row.against_reference is None else 0.0
        # the whole interval has to lie beyond: what is merely likely does not stop a merge
        if judged.high * (1 + self.limit) * (1 + drift) >= 1:
            return None
        value, interval = units.ratio_interval(judged.value, judged.low, judged.high)
        return f"it is {value} as fast {interval}"

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


def _open(row: ComparedRow) -> str | None:
    if row.new is None:
        return "it is not in NEW"
    measured = row.old is not None and row.old.status == row.new.status == "ok"
    if row.judged is None and measured:
        return "there is nothing to compare its time by"
    if row.judged is not None and row.judged.outcome == "inconclusive":
        return "whether it is slower is not settled"
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
