"""Verifying remedies: the best of them, then those together, as rows of a bench. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from perfkit.document import Remedy, Row
from perfkit.engine.plan import RowPlan
from perfkit.stats import Interval

DEFAULT = 3
"""Remedies that are run where nobody says how many."""
LEAST_S = 120.0
A_ROW_S = 60.0
"""What running rows may take: 60 s a row and 120 s at least, as in a bench."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Which remedies are run, and as which rows."""

    rows: Mapping[str, RowPlan]
    """By remedy, best first; the combination last, where there is one. No two have one key."""
    together: tuple[str, ...] = ()
    """The remedies that the combination is made of."""


@dataclass(frozen=True, kw_only=True)
class Epochs:
    """What epochs took where remedies were run, beside what was predicted of them."""

    now_s: float | None = None
    """The forecast epoch of the training as it is, in the same generations; None where it failed."""
    remedies: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By remedy `predicted_epoch_s`, `measured_epoch_s` and the first ÷ the second, as the ratio of the
    two speed-ups."""


def chosen(ranked: Sequence[Remedy], most: int) -> tuple[Remedy, ...]:
    """Return the best remedies that a variant tries, as they are ranked.

    Those that change the training's result are ranked behind all others: they are among them only where there
    are fewer others.
    """
    return tuple(remedy for remedy in ranked if remedy.variant is not None)[:most]


def most_rows(most: int) -> int:
    """Return how many rows verifying so many remedies may have, reference and combination included."""
    return most + (2 if most > 1 else 1)


def budget_s(rows: int) -> float:
    """Return what verifying so many rows may take, the reference included."""
    return max(LEAST_S, A_ROW_S * rows)


def measured(verification: Verification, rows: Sequence[Row]) -> dict[str, Interval]:
    """Return by remedy the speed-up of its row; a row that failed or has no forecast has none."""
    by_key = {row.key: row for row in rows if row.status == "ok"}
    found = {}
    for name, planned in verification.rows.items():
        row = by_key.get(planned.key)
        if row is not None and row.speedup is not None:
            found[name] = Interval(row.speedup.value, row.speedup.low, row.speedup.high)
    return found


def epochs(verification: Verification, remedies: Sequence[Remedy], rows: Sequence[Row]) -> Epochs:
    """Return the epochs of the bench that ran the remedies: as it trains now, and with each of them.

    A prediction is a speed-up, and this bench's own reference is what it starts from: a machine whose pace
    changed since the diagnosis has changed that of both. A remedy whose row failed, or of which nothing was
    predicted, is not among them.

    Args:
        rows: of the bench, the reference first.
    """
    now = rows[0].epoch_time_s
    if now is None or rows[0].status != "ok":
        return Epochs()
    by_key = {row.key: row for row in rows[1:] if row.status == "ok"}
    found = {}
    for remedy in remedies:
        planned, told = verification.rows.get(remedy.name), remedy.predicted_speedup
        row = None if planned is None else by_key.get(planned.key)
        if told is None or row is None or row.epoch_time_s is None or row.speedup is None:
            continue
        found[remedy.name] = {
            "predicted_epoch_s": now.value / told.value,
            "measured_epoch_s": row.epoch_time_s.value,
            "predicted_to_measured_ratio": row.speedup.value / told.value,
        }
    return Epochs(now_s=now.value, remedies=found)


def beside(remedies: Sequence[Remedy], came: Mapping[str, Interval]) -> tuple[Remedy, ...]:
    """Return remedies with what was measured of them beside what was predicted, whatever it is."""
    return tuple(
        replace(remedy, measured_speedup=came[remedy.name]) if remedy.name in came else remedy
        for remedy in remedies
    )
