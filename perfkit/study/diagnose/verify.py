"""Verifying remedies: the best of them, then those together, as rows of a bench. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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


def beside(remedies: Sequence[Remedy], came: Mapping[str, Interval]) -> tuple[Remedy, ...]:
    """Return remedies with what was measured of them beside what was predicted, whatever it is."""
    return tuple(
        replace(remedy, measured_speedup=came[remedy.name]) if remedy.name in came else remedy
        for remedy in remedies
    )
