"""Where an epoch goes, cause by cause, and what of it could be gone.

Input is judged by the sum of waits over all real steps, never by medians or by arms alone: a stall in every
tenth batch is in few steps and in every epoch. A wait is `waiting` where the next batch in order was not
there, `transfer` where it was and had to be handed over. A late batch had to be handed over as well: having
it there does not save that.

What the workers cost the trainer besides is taken out of computing, which it lengthens (`witnesses.py`); so
is what a profiler saw the device idle for launches or synchronising calls. Whatever is in no part is `other`.

A wait that is exposed only because a call had drained the device's queue is that call's (`waits.py`). It goes
without either of them; counted twice it would leave too little for computing.

What a step does not take is not removable. A late batch takes back what the training side saved since it was
ordered, a full queue before. And where nothing makes the host wait for the device, a device that idles idles
for the host: without copies it would only idle longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from perfkit.diagnosis import waits, witnesses
from perfkit.diagnosis.evidence import PARTS, Attribution, Evidence
from perfkit.stats import Interval, mean_interval

ONCE = ("worker_start", "first_batch", "first_step", "cache_fill")
"""Costs that a run has once; they are spread over the epochs it is said to have."""
OWN_PARTS = ("steps", "partial_batch", "epoch_start", "evaluation")
"""Parts of a forecast that are no periodic work."""
EXPOSED_SHARE = 0.01
"""A device that waits for its batch during more of a step has no other work left."""
ALL_EDGES = "edges"
"""What is lost where the edges of the epoch were not measured at all."""
BETWEEN = ("periodic", "eval", "startup")
_COMPUTE = ("forward", "backward", "optimizer")
_ON_DEVICE = ("h2d", "host_launch", "sync")


def attributed(evidence: Evidence) -> Attribution | None:
    """Return the attribution that the evidence carries, else make it."""
    return evidence.attribution or attribute(evidence)


def attribute(evidence: Evidence) -> Attribution | None:
    """Attribute the epoch of a row; None where it has no forecast.

    Without stretches the row's mean phases are all there is: no intervals, and no contention by arms.
    """
    row, config = evidence.row, evidence.config
    forecast = row.epoch_parts_s
    once_s = once_s_of(evidence) / config.epochs
    epoch_s = sum(forecast.values()) + once_s
    if forecast.get("steps", 0.0) <= 0 or epoch_s <= 0:
        return None
    steps_s = forecast["steps"] + forecast.get("partial_batch", 0.0)
    step_s = forecast["steps"] / max(1, config.steps_per_epoch)
    batches = steps_s / step_s
    each = _of_a_step(evidence, step_s)
    seconds = dict.fromkeys(PARTS, 0.0)
    left_s = steps_s
    for part, interval in each.items():
        seconds[part] = min(max(0.0, interval.value) * batches, left_s)
        left_s -= seconds[part]
    computing = [row.phases_s[name] for name in _COMPUTE if name in row.phases_s]
    compute_s = min(max(0.0, sum(computing)) * batches, left_s) if computing else left_s
    hidden = _within_compute(evidence, step_s, each)
    left_s = compute_s
    for part, interval in hidden.items():
        hidden_s = min(max(0.0, interval.value) * batches, left_s)
        seconds[part] += hidden_s
        left_s -= hidden_s
    seconds["compute"] = left_s
    between = _between(evidence, once_s)
    seconds |= between
    for part in BETWEEN:
        if part not in between:
            del seconds[part]
    seconds["other"] = epoch_s - sum(s for name, s in seconds.items() if name != "other")
    removable = {part: _scaled(one, batches, steps_s) for part, one in each.items()}
    late = waits.late(evidence)
    if late is not None:
        removable["waiting"] = _scaled(late, batches, steps_s)
    removable |= {part: _scaled(one, batches, compute_s) for part, one in hidden.items()}
    in_time = waits.in_time_share(evidence)
    for part in _ON_DEVICE:
        known = [of[part] for of in (each, hidden) if part in of]
        if known:
            one = known[0] if len(known) == 1 else _plus(*known)
            ahead = _ahead_share(evidence, one, hidden) if part == "h2d" else 1.0
            removable[part] = _scaled(one, batches * min(in_time, ahead), seconds[part])
    removable |= {part: Interval(seconds_of) for part, seconds_of in between.items()}
    idle = witnesses.per_palindrome(evidence, "replay", lambda stretch: stretch.mean_step_s)
    return Attribution(
        epoch_s=epoch_s,
        seconds=seconds,
        removable_s=removable,
        steps=config.steps_per_epoch,
        step_s=step_s,
        not_ready_share=waits.not_ready_share(evidence),
        differential_s=witnesses.differential(evidence),
        replay_step_s=mean_interval(list(idle.values())) if idle else None,
        palindromes=len(idle),
        coverage=max(0.0, 1 - abs(seconds["other"]) / epoch_s),
        unavailable=_unavailable(evidence, removable),
    )


def per_step_s(evidence: Evidence, found: Attribution, seconds: float) -> float:
    """Return seconds of an epoch as those of a mean step."""
    forecast = evidence.row.epoch_parts_s
    steps_s = forecast.get("steps", 0.0) + forecast.get("partial_batch", 0.0)
    return seconds * (found.step_s or 0.0) / steps_s if steps_s > 0 else 0.0


def once_s_of(evidence: Evidence) -> float:
    """Seconds that a run spends once on starting, beyond what every epoch spends on it and a usual step."""
    costs = evidence.row.startup_s
    once_s = sum(costs.get(name, 0.0) for name in ONCE)
    if "first_step" not in costs:
        # of a single process it is not known what a warm cache would save
        once_s += costs.get("first_step_cold", 0.0)
    usual_s = (evidence.step_s or 0.0) + max(
        0.0, evidence.row.epoch_parts_s.get("epoch_start", 0.0)
    )
    return max(0.0, once_s - usual_s) if once_s else 0.0


def _between(evidence: Evidence, once_s: float) -> dict[str, float]:
    """Seconds of an epoch outside its steps by part; a part is missing of which only lost work would be.

    Args:
        once_s: an epoch's share of what a run spends once.
    """
    forecast, lost = evidence.row.epoch_parts_s, evidence.lost
    tasks = [s for name, s in forecast.items() if name not in OWN_PARTS]
    found: dict[str, float] = {}
    if tasks or not lost_parts(lost, "periodic"):
        found["periodic"] = sum(tasks)
    if not lost_parts(lost, "eval"):
        found["eval"] = forecast.get("evaluation", 0.0)
    if once_s > 0 or not lost_parts(lost, "startup"):
        # a difference, and below zero by chance where starting costs nothing
        found["startup"] = max(0.0, forecast.get("epoch_start", 0.0)) + once_s
    return found


def lost_parts(lost: Iterable[str], part: str) -> list[str]:
    """Return which of the lost parts of a forecast are time of this part (`BETWEEN`) of the epoch."""
    own = {"epoch_start": ("startup",), "evaluation": ("eval",), ALL_EDGES: BETWEEN}
    return [name for name in lost if part in own.get(name, ("periodic",))]


def _of_a_step(evidence: Evidence, step_s: float) -> dict[str, Interval]:
    """Seconds of a mean step by part, those that are phases of their own; none that are not known."""
    found = waits.of_a_step(evidence, step_s)
    if not evidence.on_cpu and "h2d" in evidence.row.phases_s:
        found["h2d"] = _phase(evidence, "h2d")
    if evidence.config.parallel != "none" and "communication" in evidence.row.phases_s:
        of_ranks = evidence.communication
        told = _phase(evidence, "communication") if of_ranks is None else of_ranks.step_s
        found["communication"] = told
    return found


def _ahead_share(evidence: Evidence, copies: Interval, hidden: Mapping[str, Interval]) -> float:
    """Part of the copies that the host is ahead of; all where calls wait for the device, or unknown.

    One from pageable memory is such a call, and drains the device's queue itself.
    """
    told = waits.with_waits(evidence)
    waits_for_it = waits.drains(evidence) or not evidence.config.pin_memory
    if evidence.burst is None or waits_for_it or not told or copies.value <= 0:
        return 1.0
    exposed = [wait > EXPOSED_SHARE * s.mean_step_s for s in told for wait in s.wait_s]
    idle_s = hidden["host_launch"].value if "host_launch" in hidden else 0.0
    return max(0.0, min(1 - sum(exposed) / len(exposed), 1 - idle_s / copies.value))


def _phase(evidence: Evidence, name: str) -> Interval:
    """A phase of a mean step, with its interval over real blocks where they tell it."""
    told = [s for s in witnesses.of_arm(evidence, "real") if name in s.phases_s and s.step_s]
    if not told:
        return Interval(evidence.row.phases_s[name])
    return witnesses.over_steps([s.phases_s[name] for s in told], [len(s.step_s) for s in told])


def _within_compute(
    evidence: Evidence, step_s: float, each: Mapping[str, Interval]
) -> dict[str, Interval]:
    """Seconds of a mean step that lengthen computing: contention, and the device's idling in a burst.

    What it idles outside the step's phases is no launch.
    """
    found: dict[str, Interval] = {}
    witness = witnesses.contention(evidence)
    said = None if witness is None else witness.said
    if said is not None:
        found["contention"] = said
    burst = evidence.burst
    # where copies are not known, a device that idles may be copying
    if burst is not None and burst.busy_share is not None and "h2d" in each:
        told = sum(max(0.0, one.value) for one in (*each.values(), *found.values()))
        told += max(0.0, evidence.row.phases_s.get("other", 0.0))
        idle_s = max(0.0, (1 - burst.busy_share) * step_s - told)
        found["sync" if waits.drains(evidence) else "host_launch"] = Interval(idle_s)
    return found


def _unavailable(evidence: Evidence, known: Mapping[str, Interval]) -> dict[str, str]:
    """Why a part is not told; of a part that is told in part, what of it is not."""
    found = {}
    for part in BETWEEN:
        for name in lost_parts(evidence.lost, part):
            found[name if part in known else part] = evidence.lost[name]
    if not witnesses.of_arm(evidence, "replay"):
        found["differential_s"] = "no_data"
    if "waiting" not in known:
        found["waiting"] = "no_data"
    if "contention" not in known:
        if evidence.config.num_workers == 0:
            found["contention"] = "not_applicable"
        elif witnesses.disturbed_share(evidence) > witnesses.DISTURBED_SHARE:
            found["contention"] = "disturbed"
        else:
            found["contention"] = "no_data"
    if "communication" not in known:
        alone = evidence.config.parallel == "none"
        found["communication"] = "not_applicable" if alone else "no_data"
    if evidence.on_cpu:
        return found | {"h2d": "no_gpu", "sync": "no_gpu", "host_launch": "no_gpu"}
    if "h2d" not in known:
        found["h2d"] = "no_data"
    if "sync" not in known and "host_launch" not in known:
        found |= {"sync": "no_data", "host_launch": "no_data"}
    return found


def _plus(one: Interval, other: Interval) -> Interval:
    """The sum of two parts of a step, at both ends of their intervals."""
    value = one.value + other.value
    if all(end is None for each in (one, other) for end in (each.low, each.high)):
        return Interval(value)
    lows, highs = (
        sum(each.value if end is None else end for each, end in ends)
        for ends in (
            ((one, one.low), (other, other.low)),
            ((one, one.high), (other, other.high)),
        )
    )
    return Interval(value, lows, highs)


def _scaled(interval: Interval, factor: float, most: float) -> Interval:
    """An interval of a step as one of the epoch: not below nothing, nor above what there is."""

    def bounded(value: float) -> float:
        return min(max(0.0, value * factor), most)

    if interval.low is None or interval.high is None:
        return Interval(bounded(interval.value))
    return Interval(bounded(interval.value), bounded(interval.low), bounded(interval.high))
