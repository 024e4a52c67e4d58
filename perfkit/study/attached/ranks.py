"""Ranks of one training, joined: what all wait for each other, and what they wait for the slowest. Pure.

In a collective a rank waits until the last one has come, and then for the exchange. Of each step the exchange
is the least that any rank waits; what another waits beyond it is the slowest rank's own cause.

    communication = mean over steps of min over ranks (collectives called by the script)
                  + median over timed iterations of min over ranks (time of the reducer − its overlap with
                    computing) × its iterations in a step

The second is known from few iterations, most of them the first ones, so that a median stands for them; the
very first is left out, in which connections are made.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from perfkit import units
from perfkit.diagnosis.attribution import attribute
from perfkit.diagnosis.evidence import Communication
from perfkit.document import Note
from perfkit.records import COLLECTIVE
from perfkit.stats import Interval, mean_interval, median
from perfkit.study.attached.collectives import seconds_in_steps
from perfkit.study.attached.result import AttachedRun

SPREAD = 0.05
"""Ranks whose own work differs by more than this are told: the others wait for the slowest one."""
FIRST_ITERATION = 1
_GETTING = ("waiting", "transfer", "data_wait")


@dataclass(frozen=True, kw_only=True)
class Waits:
    """What one rank waited in collectives. Seconds."""

    called_s: tuple[float, ...] = ()
    """In those that the script called, by step from the second on; empty where it called none."""
    reduced_s: Mapping[tuple[int, int], float] | None = None
    """In those of reducers, by model and iteration, those that were timed."""
    per_step: Mapping[int, float] | None = None
    """By model, iterations of its reducer in a step: one, or fewer where it is told not to synchronise."""
    updates: float | None = None
    """Updates by optimizers in a step; None where none was seen."""


def waits_of(run: AttachedRun) -> Waits:
    """Return what a rank has told of its collectives."""
    recorded, steps = run.recorded, run.loop.steps
    reduced: dict[tuple[int, int], float] = {}
    per_step: dict[int, float] = {}
    starts = [step.start_ns for step in steps]
    for one in recorded.told("reducer"):
        model, iteration = one["model"], one["iteration"]
        if iteration > FIRST_ITERATION:
            reduced[model, iteration] = one["exposed_s"]
            # an iteration is told once the next one has begun, and is read some steps later at times
            begun = max(1, bisect_left(starts, one["t_ns"]))
            per_step[model] = max(per_step.get(model, 0.0), (iteration + 1) / begun)
    counted = [step.updates for step in steps if step.updates >= 0]
    called: tuple[float, ...] = ()
    if any(span.phase == COLLECTIVE for span in recorded.spans):
        called = tuple(seconds_in_steps(steps, recorded.spans)[1:])
    updates = sum(counted) / len(counted) if any(counted) else None
    return Waits(called_s=called, reduced_s=reduced, per_step=per_step, updates=updates)


def communication(ranks: Sequence[Waits]) -> list[Communication] | None:
    """Return for each of the ranks what it and all of them wait; None where nothing tells that.

    Steps and iterations that not all of them have are left out.
    """
    reduced = _reduced(ranks)
    parts = [part for part in (_called(ranks), reduced) if part is not None]
    if not parts:
        return None
    step_s = Interval(
        sum(least.value for least, _, _ in parts),
        sum(least.value if least.low is None else least.low for least, _, _ in parts),
        sum(least.value if least.high is None else least.high for least, _, _ in parts),
    )
    sampled = [count for _, _, count in parts if count is not None]
    needless_s = 0.0 if reduced is None else _needless_share(ranks) * reduced[0].value
    return [
        Communication(
            ranks=len(ranks),
            step_s=step_s,
            waited_s=sum(waited[number] for _, waited, _ in parts),
            sampled_steps=sampled[0] if sampled else None,
            needless_share=needless_s / step_s.value if step_s.value > 0 else 0.0,
            reduces=reduced is not None,
        )
        for number in range(len(ranks))
    ]


_Part = tuple[Interval, list[float], int | None]
"""Of a mean step: the least of all ranks, what each of them waits, and of how many timed steps."""


def _called(ranks: Sequence[Waits]) -> _Part | None:
    count = min(len(rank.called_s) for rank in ranks)
    if count == 0:
        return None
    each = [rank.called_s[:count] for rank in ranks]
    least = mean_interval([min(of_step) for of_step in zip(*each, strict=True)])
    return least, [fmean(one) for one in each], None


def _reduced(ranks: Sequence[Waits]) -> _Part | None:
    each = [rank.reduced_s or {} for rank in ranks]
    common = sorted(set(each[0]).intersection(*each[1:]))
    if not common:
        return None
    low = value = high = 0.0
    waited = [0.0] * len(ranks)
    for model in sorted({model for model, _ in common}):
        timed = [key for key in common if key[0] == model]
        per_step = fmean((rank.per_step or {})[model] for rank in ranks)
        minima = [min(of_rank[key] for of_rank in each) for key in timed]
        middle_s, spread = median(minima), mean_interval(minima)
        value += per_step * middle_s
        low += per_step * min(middle_s, spread.value if spread.low is None else spread.low)
        high += per_step * max(middle_s, spread.value if spread.high is None else spread.high)
        for number, of_rank in enumerate(each):
            waited[number] += per_step * median([of_rank[key] for key in timed])
    return Interval(value, max(0.0, low), high), waited, len(common)


def _needless_share(ranks: Sequence[Waits]) -> float:
    """Return the part of the reducers' iterations that no update follows: gradients are only added up then.

    Of several models the one that reduces most, against the updates of all optimizers: at least so many.
    """
    most = max(max((rank.per_step or {}).values(), default=0.0) for rank in ranks)
    known = [rank.updates for rank in ranks if rank.updates is not None]
    return 1 - min(1.0, max(known) / most) if known and most > 0 else 0.0


def joined(runs: Sequence[AttachedRun]) -> list[AttachedRun]:
    """Return the processes with what they are to each other, where all ranks of a training are among them.

    The exchange is taken out of their backward.
    """
    ranks = [run for run in runs if run.recorded.rank is not None]
    world = max((run.recorded.world_size or 1 for run in ranks), default=1)
    found = communication([waits_of(run) for run in ranks]) if world > 1 else None
    if found is None or len(ranks) != world:
        return list(runs)
    of_rank = {run.row.key: one for run, one in zip(ranks, found, strict=True)}
    return [_with(run, of_rank[run.row.key]) if run.row.key in of_rank else run for run in runs]


def _with(run: AttachedRun, told: Communication) -> AttachedRun:
    phases_s = dict(run.row.phases_s)
    if "backward" not in phases_s:
        return run
    least_s = min(told.step_s.value, phases_s["backward"])
    phases_s["backward"] -= least_s
    phases_s["communication"] = least_s
    row = replace(run.row, phases_s=phases_s)
    evidence = replace(run.evidence, row=row, rows=(row,), communication=told, attribution=None)
    return replace(run, evidence=replace(evidence, attribution=attribute(evidence)))


def slowest(runs: Sequence[AttachedRun]) -> AttachedRun | None:
    """Return the process that is diagnosed: the rank that the others wait for, else what trained longest."""
    if not runs:
        return None
    if all(run.recorded.rank is not None for run in runs):
        return max(runs, key=_own_s)
    return max(runs, key=lambda run: sum(step.step_s for step in run.loop.steps))


def _own_s(run: AttachedRun) -> float:
    return sum(_own_phases_s(run).values())


def _own_phases_s(run: AttachedRun) -> dict[str, float]:
    """A mean step without what it waits for other ranks: without its backward where that is not known."""
    phases_s, told = dict(run.row.phases_s), run.evidence.communication
    backward_s = phases_s.pop("backward", 0.0)
    if told is not None:
        whole_s = backward_s + phases_s.pop("communication", 0.0)
        phases_s["backward"] = max(0.0, whole_s - told.waited_s)
    return phases_s


def spread(runs: Sequence[AttachedRun], told: AttachedRun) -> list[Note]:
    """Return a note on what the slowest rank does more than the fastest, where they differ."""
    ranks = [run for run in runs if run.recorded.rank is not None]
    if len(ranks) < 2 or told not in ranks:
        return []
    own = [_own_s(run) for run in ranks]
    mean_s = fmean(own)
    if mean_s <= 0 or (max(own) - min(own)) / mean_s <= SPREAD:
        return []
    slow, fast = _own_phases_s(told), _own_phases_s(min(ranks, key=_own_s))
    more = {name: slow.get(name, 0.0) - fast.get(name, 0.0) for name in (*slow, *fast)}
    name = max(more, key=lambda one: more[one])
    known = told.evidence.communication is not None
    without = "what it waits for other ranks" if known else "its backward"
    text = (
        f"{told.row.key} is the slowest of {len(ranks)} ranks: without {without} a step takes it"
        f" {units.seconds(max(own))}, the fastest {units.seconds(min(own))}; it is longer by"
        f" {units.seconds(more[name])} in {_in_words(name)}; waits for a batch:"
        f" {_by_rank(ranks, [run.row.exposed_wait_s for run in ranks])}"
    )
    if known:
        waited = [run.evidence.communication for run in ranks]
        beyond = [None if one is None else one.waited_s - one.step_s.value for one in waited]
        text += f"; for other ranks beyond the exchange: {_by_rank(ranks, beyond)}"
    return [Note(code="slowest_rank", text=text)]


def _in_words(name: str) -> str:
    return "waiting for a batch" if name in _GETTING else name


def _by_rank(ranks: Sequence[AttachedRun], seconds: Iterable[float | None]) -> str:
    named = zip((run.row.key.partition("/")[2] for run in ranks), seconds, strict=True)
    return ", ".join(f"{rank} {units.seconds(waited)}" for rank, waited in named)
