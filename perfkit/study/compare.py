"""`perfkit compare`: two stored answers, row by row. Pure.

Epoch times of two runs are two independent samples, one value per generation: Welch's t on their
logarithms. What befell the machine between the runs is in that ratio and not in its interval. Where both
runs hold the same reference, each row's speed-up against it is compared instead: the reference ran in
turns with the row, so whatever befell both cancels, and only how far the reference itself moved is left
to tell, in the reference's own row.

A script that was watched (`perfkit run`) is one process: its values are windows of its steps, and
neighbouring windows are alike. They count as so many as they are worth (`perfkit.stats.effective_sizes`), and
there is no reference: the rows are ranks of one training. `study.basis` chooses what is compared.

How many steps that takes, by simulation (steps that stray by 6 %, a machine that drifts by 2 % between runs,
20 % planted): `slower:5%` trips in 90 % of pairs from 120 steps on where a step's correlation with the one
before is at most 0.5, from 480 steps on where it is 0.9, from 2000 on where it is 0.97; in pairs of one
script in under 1 %, whatever it is. An estimate with narrower intervals (Geyer's initial positive sequence)
held the truth in 91 % of pairs of 240 steps at 0.9, in 90 % of 480 at 0.97, and was not taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from perfkit import units
from perfkit.comparison import (
    ComparedRow,
    Comparison,
    Side,
    Source,
    would_tell,
)
from perfkit.document import Document, Row, Speedup
from perfkit.errors import UsageError
from perfkit.stats import MIN_GENERATIONS, effective_sizes, outcome, welch_ratio
from perfkit.study.basis import ATTACHED, Basis, basis_of, logarithms
from perfkit.study.differences import differences, notes, warnings
from perfkit.study.gate import DRIFT, Gate, tripped, undecided
from perfkit.study.longer import Settled, is_settled, more_generations, more_steps
from perfkit.study.peaks import MEMORY_SAME_WITHIN, memory_outcome, memory_ratio, place_of

_WORTH = ", as many as their autocorrelation leaves of them"


def compare(
    old: Document,
    new: Document,
    *,
    names: tuple[str, str],
    command: str,
    created: str,
    gates: tuple[Gate, ...] = (),
) -> Comparison:
    """Hold two answers against each other.

    Args:
        names: what the user called OLD and NEW.
        command, created: of the comparison.
        gates: what is to be reported as tripped.

    Raises:
        UsageError: they have no row in common.
    """
    same_study = _same_study(old, new)
    reference = None if same_study else _shared_reference(old, new)
    before = {row.key: row for row in old.rows}
    after = {row.key: row for row in new.rows}
    if not before.keys() & after.keys():
        raise UsageError(
            f"{names[0]} has no row of {names[1]}: {', '.join(before)} against {', '.join(after)}",
            hint="compare two runs of the same rows",
        )
    basis = basis_of(old, new)
    judge = _Judge(old, new, basis, reference, same_study)
    compared = tuple(
        judge.row(before.get(key), after.get(key))
        for key in [*after, *(key for key in before if key not in after)]
    )
    values = "generations" if basis.part is None else f"windows of steps{_WORTH}"
    different = differences(old, new)
    unavailable = {} if reference or same_study else {"against_reference": _unshared(old, new)}
    if basis.reason and not same_study:
        unavailable["epoch_time_s"] = basis.reason
    return Comparison(
        kind="compare",
        command=command,
        created=created,
        environment=new.environment,
        base=new.base,
        old=_source(names[0], old),
        new=_source(names[1], new),
        reference=reference,
        same_study=same_study,
        by=basis.by,
        compared=compared,
        differences=different,
        gates=tuple(map(str, gates)),
        tripped=tripped(gates, compared),
        undecided=undecided(gates, compared, judge.more),
        method={
            "part": basis.part,
            "interval": f"95 %, Welch's t over {values}, {MIN_GENERATIONS} or more of each run",
            "memory_same_within_share": MEMORY_SAME_WITHIN,
        },
        warnings=warnings(old, new, different),
        unavailable=unavailable,
    )


def _source(name: str, document: Document) -> Source:
    return Source(name=name, command=document.command, created=document.created)


def _same_study(old: Document, new: Document) -> bool:
    """Whether both are one study, perhaps at two moments of it: then no times are independent."""
    if (old.command, old.created, old.environment) != (new.command, new.created, new.environment):
        return False
    if new.kind == ATTACHED:
        # its windows are cut anew at every moment
        return True
    after = {row.key: row.generation_epoch_time_s for row in new.rows}
    pairs = [(row.generation_epoch_time_s, after.get(row.key, ())) for row in old.rows]
    return all(all(x == y for x, y in zip(a, b, strict=False)) for a, b in pairs)


def _shared_reference(old: Document, new: Document) -> str | None:
    return None if _unshared(old, new) else new.rows[0].key


def _unshared(old: Document, new: Document) -> str:
    """Say why the runs have no reference in common, as a reason code; empty when they have one."""
    ours, theirs = new.rows[0], old.rows[0]
    if ATTACHED in (old.kind, new.kind):
        return "attached"
    if len(old.rows) < 2 or len(new.rows) < 2:
        return "one_row"
    if ours.key != theirs.key:
        return "other_reference"
    if old.base != new.base:
        return "other_settings"
    measured = all(row.status == "ok" and row.generation_epoch_time_s for row in (ours, theirs))
    return "" if measured else "reference_failed"


@dataclass(frozen=True)
class _Judge:
    """Compares the rows of two runs."""

    old: Document
    new: Document
    basis: Basis
    reference: str | None
    same_study: bool

    def row(self, old: Row | None, new: Row | None) -> ComparedRow:
        """Hold a row of one run against that of the other; one of them may not be there."""
        row = new or old
        assert row is not None
        head: dict[str, Any] = {"key": row.key, "arch": row.arch, "variant": row.variant}
        if old is None or new is None:
            reason = "only_in_new" if old is None else "only_in_old"
            return ComparedRow(
                **head,
                old=self._side(old, self.old, place_of(row)),
                new=self._side(new, self.new, place_of(row)),
                unavailable=dict.fromkeys(("speedup", "against_reference", "memory_ratio"), reason),
            )
        place = place_of(old, new)
        theirs, ours = self._side(old, self.old, place), self._side(new, self.new, place)
        direct, relative, unavailable = self._times(old, new)
        judged, ratio = relative or direct, memory_ratio(theirs, ours)
        is_open = judged is not None and judged.outcome == "inconclusive"
        more = self._more(old, new, is_settled) if is_open else {}
        if ratio is None:
            unavailable["memory_ratio"] = "no_data"
        return ComparedRow(
            **head,
            old=theirs,
            new=ours,
            speedup=direct,
            more_steps=more.get("steps"),
            more_generations=more.get("generations"),
            against_reference=relative,
            memory_on=place,
            memory_ratio=ratio,
            memory_outcome=None if ratio is None else memory_outcome(ratio),
            notes=notes(old, new),
            unavailable=unavailable,
        )

    def _times(self, old: Row, new: Row) -> tuple[Speedup | None, Speedup | None, dict[str, str]]:
        """Return the comparison, that against the reference, and what of them is missing and why."""
        unavailable: dict[str, str] = {}
        if self.same_study:
            unavailable["against_reference"] = "same_study"
            ok = old.status == new.status == "ok"
            direct, relative = (_unchanged() if ok else None), None
        else:
            direct = _speedup(*self._logs(old, new), watched=self.basis.part is not None)
            relative = _relative(old, new) if self.reference not in (None, new.key) else None
            if relative is None:
                is_reference = new.key == self.reference
                unavailable["against_reference"] = "reference" if is_reference else "no_data"
        if direct is None:
            whys = (row.unavailable.get("epoch_time_s") for row in (new, old))
            unavailable["speedup"] = next((why for why in whys if why), "no_data")
        return direct, relative, unavailable

    def _logs(self, old: Row, new: Row) -> tuple[list[float], list[float]]:
        return (
            logarithms(self.basis.times_s(old, self.old)),
            logarithms(self.basis.times_s(new, self.new)),
        )

    def more(self, row: ComparedRow, gate: Gate) -> str:
        """Say what would decide whether a row is beyond a gate's limit."""
        old, new = (
            next(one for one in document.rows if one.key == row.key)
            for document in (self.old, self.new)
        )
        found = self._more(old, new, lambda ratio: gate.is_beyond(row, ratio))
        return would_tell(**found) or (
            f"no longer run tells it from the machine's drift between the runs ({units.share(DRIFT)}), rows"
            " that ran in turns with the same reference would"
            if row.against_reference is None
            else "a hundred times as much would not tell"
        )

    def _more(self, old: Row, new: Row, settled: Settled) -> dict[str, int | None]:
        """Return how many steps, or generations, would settle the comparison that counts."""
        seen = [self.basis.steps(row) for row in (old, new)]
        counts = [steps for steps in seen if steps is not None]
        if len(counts) == 2:
            return {
                "steps": more_steps(*self._logs(old, new), min(counts), settled),
                "generations": None,
            }
        logs = _relative_logs(old, new) if self.reference not in (None, new.key) else ([], [])
        before, after = logs if all(logs) else self._logs(old, new)
        return {"steps": None, "generations": more_generations(before, after, settled)}

    def _side(
        self, row: Row | None, document: Document, place: Literal["device", "host"] | None
    ) -> Side | None:
        if row is None:
            return None
        peaks = {"device": row.peak_allocated_bytes, "host": row.peak_rss_bytes, None: None}
        mean_s = self.basis.mean_s(row, document)
        return Side(
            status=row.status,
            message=row.message,
            epoch_time_s=row.epoch_time_s,
            step_time_s=mean_s if self.basis.by == "step" else None,
            sample_time_s=mean_s if self.basis.by == "sample" else None,
            steps=self.basis.steps(row),
            generations=row.generations,
            peak_bytes=peaks[place],
        )


def _speedup(old: Sequence[float], new: Sequence[float], watched: bool = False) -> Speedup | None:
    """Judge two samples of logarithms of times.

    Args:
        watched: they are windows of one process each, in their order.
    """
    if not old or not new:
        return None
    interval = welch_ratio(old, new, sizes=_worth(old, new) if watched else None)
    judged = outcome(interval, min(len(old), len(new)))
    return Speedup(value=interval.value, low=interval.low, high=interval.high, outcome=judged)


def _worth(old: Sequence[float], new: Sequence[float]) -> tuple[float, float]:
    before, after = effective_sizes(old, new)
    return before, after


def _relative(old: Row, new: Row) -> Speedup | None:
    """Judge two samples of speed-ups against one reference."""
    return _speedup(*_relative_logs(old, new))


def _relative_logs(old: Row, new: Row) -> tuple[list[float], list[float]]:
    before, after = (logarithms(row.generation_speedup) for row in (old, new))
    # what is faster has the larger speed-up and the smaller time
    return [-log for log in before], [-log for log in after]


def _unchanged() -> Speedup:
    return Speedup(value=1.0, low=1.0, high=1.0, outcome="same")
