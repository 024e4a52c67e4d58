"""Where an epoch goes, cause by cause, and what of it could be gone.

Input is judged by the sum of waits over all real steps, never by medians or by arms alone: a stall in every
tenth batch is in few steps and in every epoch. A wait is `waiting` where the next batch in order was not
there, `transfer` where it was and had to be handed over. A late batch had to be handed over as well: having
it there does not save that.

What the workers cost the trainer besides is taken out of computing, which it lengthens (`witnesses.py`); so
is what a profiler saw the device idle for launches or synchronising calls. Whatever is in no part is `other`.

What a step does not take is not removable. A late batch takes back what the training side saved since it was
ordered, a full queue before. And where nothing makes the host wait for the device, a device that idles idles
for the host: without copies it would only idle longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perfkit.diagnosis import witnesses
from perfkit.diagnosis.evidence import PARTS, Attribution, Evidence, Stretch
from perfkit.stats import Interval, mean_interval, median

ONCE = ("worker_start", "first_batch", "first_step")
"""Costs that a run has once; they are spread over the epochs it is said to have."""
OWN_PARTS = ("steps", "partial_batch", "epoch_start", "evaluation")
"""Parts of a forecast that are no periodic work."""
LEAST_SYNCS = 0.5
"""From so many synchronising calls a step on, it is they that let the device run out of work."""
LEAST_READY = 3
"""So many steps whose batch was there say what handing one over takes."""
EXPOSED_SHARE = 0.01
"""A device that waits for its batch during more of a step has no other work left."""
_COMPUTE = ("forward", "backward", "optimizer")
_ON_DEVICE = ("h2d", "host_launch", "sync")
_WAITS = ("waiting", "transfer", "data_wait")


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
    known = [row.phases_s[name] for name in _COMPUTE if name in row.phases_s]
    compute_s = min(max(0.0, sum(known)) * batches, left_s) if known else left_s
    hidden = _within_compute(evidence, step_s, each)
    left_s = compute_s
    for part, interval in hidden.items():
        seconds[part] = min(max(0.0, interval.value) * batches, left_s)
        left_s -= seconds[part]
    seconds["compute"] = left_s
    seconds["eval"] = forecast.get("evaluation", 0.0)
    seconds["periodic"] = sum(s for name, s in forecast.items() if name not in OWN_PARTS)
    # a difference, and below zero by chance where starting costs nothing
    seconds["startup"] = max(0.0, forecast.get("epoch_start", 0.0)) + once_s
    seconds["other"] = epoch_s - sum(s for name, s in seconds.items() if name != "other")
    removable = {part: _scaled(one, batches, steps_s) for part, one in each.items()}
    late = _late(evidence)
    if late is not None:
        removable["waiting"] = _scaled(late, batches, steps_s)
    removable |= {part: _scaled(one, batches, compute_s) for part, one in hidden.items()}
    in_time = _in_time_share(evidence)
    for part, one in (each | hidden).items():
        if part in _ON_DEVICE:
            ahead = _ahead_share(evidence, one, hidden) if part == "h2d" else 1.0
            removable[part] = _scaled(one, batches * min(in_time, ahead), seconds[part])
    removable |= {part: Interval(seconds[part]) for part in ("periodic", "eval", "startup")}
    idle = witnesses.per_palindrome(evidence, "replay", lambda stretch: stretch.mean_step_s)
    return Attribution(
        epoch_s=epoch_s,
        seconds=seconds,
        removable_s=removable,
        steps=config.steps_per_epoch,
        step_s=step_s,
        not_ready_share=_not_ready_share(evidence),
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


def _of_a_step(evidence: Evidence, step_s: float) -> dict[str, Interval]:
    """Seconds of a mean step by part, those that are phases of their own; none that are not known."""
    found = _waits(evidence, step_s)
    if not evidence.on_cpu and "h2d" in evidence.row.phases_s:
        found["h2d"] = _phase(evidence, "h2d")
    if evidence.config.parallel != "none" and "communication" in evidence.row.phases_s:
        found["communication"] = _phase(evidence, "communication")
    return found


def _drains(evidence: Evidence) -> bool:
    """Whether a step has calls that wait for the device."""
    burst = evidence.burst
    if burst is None or evidence.on_cpu:
        return False
    return sum(burst.synchronising.values()) >= LEAST_SYNCS


def _in_time_share(evidence: Evidence) -> float:
    """Part of the real steps whose saving no late batch takes back; all of them where that is not known."""
    late = _not_ready_share(evidence)
    capacity = evidence.config.queue_capacity
    return 1.0 if late is None or capacity == 0 else max(0.0, 1 - capacity * late)


def _ahead_share(evidence: Evidence, copies: Interval, hidden: Mapping[str, Interval]) -> float:
    """Part of the copies that the host is ahead of; all where calls wait for the device, or unknown.

    One from pageable memory is such a call, and drains the device's queue itself.
    """
    told = _with_waits(evidence)
    waits_for_it = _drains(evidence) or not evidence.config.pin_memory
    if evidence.burst is None or waits_for_it or not told or copies.value <= 0:
        return 1.0
    waits = [wait > EXPOSED_SHARE * s.mean_step_s for s in told for wait in s.wait_s]
    idle_s = hidden["host_launch"].value if "host_launch" in hidden else 0.0
    return max(0.0, min(1 - sum(waits) / len(waits), 1 - idle_s / copies.value))


def _phase(evidence: Evidence, name: str) -> Interval:
    """A phase of a mean step, with its interval over real blocks where they tell it."""
    told = [s for s in witnesses.of_arm(evidence, "real") if name in s.phases_s and s.step_s]
    if not told:
        return Interval(evidence.row.phases_s[name])
    return witnesses.over_steps([s.phases_s[name] for s in told], [len(s.step_s) for s in told])


def _waits(evidence: Evidence, step_s: float) -> dict[str, Interval]:
    """Seconds of a mean step that were waited for a batch, by whether it was there."""
    handed = evidence.config.num_workers > 0
    told = _with_waits(evidence)
    if told:
        counts = [len(s.step_s) for s in told]
        return {
            "waiting": witnesses.over_steps([_waited(s, False, handed) for s in told], counts),
            "transfer": witnesses.over_steps([_waited(s, True, handed) for s in told], counts),
        }
    phases_s, wait_s = evidence.row.phases_s, evidence.row.exposed_wait_s
    if wait_s is None:
        known = [phases_s[name] for name in _WAITS if name in phases_s]
        if not known:
            return {}
        wait_s = sum(known)
    there = (evidence.transfer_share or 0.0) * wait_s if handed else 0.0
    waiting_s = wait_s - there
    if handed and "other" in phases_s:
        # the phases of a row are those of its steps: what they lack of a block's wall clock is production
        # that was put off
        waiting_s += max(0.0, step_s - sum(phases_s.values()))
    return {"waiting": Interval(waiting_s), "transfer": Interval(there)}


def _with_waits(evidence: Evidence) -> list[Stretch]:
    return [
        s
        for s in witnesses.of_arm(evidence, "real")
        if s.step_s and len(s.wait_s) == len(s.step_s) == len(s.ready)
    ]


def _late(evidence: Evidence) -> Interval | None:
    """What of waiting a mean step would save with its batches there; None where that is not known.

    It is less than the wait by what handing over a batch takes that is there.
    """
    told = _with_waits(evidence)
    each_s = _handing_over_s(evidence, told)
    if each_s is None:
        return None
    values = [_waited(s, False, True, each_s) for s in told]
    return witnesses.over_steps(values, [len(s.step_s) for s in told])


def _handing_over_s(evidence: Evidence, told: Sequence[Stretch]) -> float | None:
    """Seconds of taking over a batch that is there; None where nothing tells them.

    Where hardly a batch was there, what its worker took to put it into the queue: it is waited for as well.
    """
    if not told or evidence.config.num_workers == 0:
        return None
    handed = [w for s in told for w, was in zip(s.wait_s, s.ready, strict=True) if was == 1]
    if len(handed) >= LEAST_READY:
        return median(handed)
    facts = evidence.loader
    if facts is None or facts.serialise_cpu_s is None:
        return None
    return facts.serialise_cpu_s + (facts.handover_s or 0.0)


def _waited(stretch: Stretch, ready: bool, handed: bool, less_s: float = 0.0) -> float:
    """A mean step's wait for batches that were there, or were not. Without workers nothing is handed over.

    Args:
        less_s: what of each of these waits does not count.
    """
    waits = zip(stretch.wait_s, stretch.ready, strict=True)
    total_s = sum(max(0.0, wait - less_s) for wait, was in waits if (handed and was == 1) is ready)
    if not ready:
        # a batch that was made before, and for whose making this block did not wait
        total_s += max(0.0, stretch.wall_s - sum(stretch.step_s))
    return total_s / len(stretch.step_s)


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
        found["sync" if _drains(evidence) else "host_launch"] = Interval(idle_s)
    return found


def _not_ready_share(evidence: Evidence) -> float | None:
    known = [s.ready for s in witnesses.of_arm(evidence, "real")]
    ready: Sequence[int] = [was for each in known for was in each]
    if not ready or min(ready) < 0:
        return evidence.row.not_ready_share
    return ready.count(0) / len(ready)


def _unavailable(evidence: Evidence, known: Mapping[str, Interval]) -> dict[str, str]:
    """Why a part is not told."""
    found = {}
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


def _scaled(interval: Interval, factor: float, most: float) -> Interval:
    """An interval of a step as one of the epoch: not below nothing, nor above what there is."""

    def bounded(value: float) -> float:
        return min(max(0.0, value * factor), most)

    if interval.low is None or interval.high is None:
        return Interval(bounded(interval.value))
    return Interval(bounded(interval.value), bounded(interval.low), bounded(interval.high))
