"""What real steps waited for their batches, and which part of it is another cause's. Seconds of a step.

A batch that was there is handed over while the device works off what the host launched before. Where a call
waits for the device just before (`.item()`, the inf check of a GradScaler), nothing is left to work off, and
handing over is exposed for that alone: as far as the host had been ahead before the call, it is the call's.
A host that was never so far ahead would not have hidden it, call or none.
"""

from __future__ import annotations

from collections.abc import Sequence

from perfkit.diagnosis import witnesses
from perfkit.diagnosis.evidence import Evidence, Stretch
from perfkit.stats import Interval, median

LEAST_SYNCS = 0.5
"""From so many synchronising calls a step on, it is they that let the device run out of work."""
LEAST_READY = 3
"""So many steps whose batch was there say what handing one over takes."""
_WAITS = ("waiting", "transfer", "data_wait")


def of_a_step(evidence: Evidence, step_s: float) -> dict[str, Interval]:
    """Return what a mean step waited for its batch, by what it is billed to; none where it is not known.

    `waiting` is for batches that were not there, `transfer` for handing over ones that were, and `sync`, on a
    device, what of handing over is exposed only because a call had drained the device's queue.
    """
    told = with_waits(evidence)
    if not told:
        return _of_means(evidence, step_s)
    handed = evidence.config.num_workers > 0
    counts = [len(s.step_s) for s in told]
    found = {
        "waiting": witnesses.over_steps([_waited(s, False, handed) for s in told], counts),
        "transfer": witnesses.over_steps([_waited(s, True, handed) for s in told], counts),
    }
    if handed and drains(evidence) and all(_tells_lead(s) for s in told):
        exposed = [_drained_s(s) for s in told]
        found["sync"] = witnesses.over_steps(exposed, counts)
        left = [_waited(s, True, handed) - one for s, one in zip(told, exposed, strict=True)]
        found["transfer"] = witnesses.over_steps(left, counts)
    return found


def drains(evidence: Evidence) -> bool:
    """Return whether a step has calls that wait for the device."""
    burst = evidence.burst
    if burst is None or evidence.on_cpu:
        return False
    return sum(burst.synchronising.values()) >= LEAST_SYNCS


def with_waits(evidence: Evidence) -> list[Stretch]:
    """Return the real blocks that tell of every step what it waited and whether its batch was there."""
    return [
        s
        for s in witnesses.of_arm(evidence, "real")
        if s.step_s and len(s.wait_s) == len(s.step_s) == len(s.ready)
    ]


def late(evidence: Evidence) -> Interval | None:
    """Return what of waiting a mean step would save with its batches there; None where that is not known.

    It is less than the wait by what handing over a batch takes that is there.
    """
    told = with_waits(evidence)
    each_s = _handing_over_s(evidence, told)
    if each_s is None:
        return None
    values = [_waited(s, False, True, each_s) for s in told]
    return witnesses.over_steps(values, [len(s.step_s) for s in told])


def not_ready_share(evidence: Evidence) -> float | None:
    """Return the part of the real steps whose batch was not there; None where that is not known."""
    known = [s.ready for s in witnesses.of_arm(evidence, "real")]
    ready: Sequence[int] = [was for each in known for was in each]
    if not ready or min(ready) < 0:
        return evidence.row.not_ready_share
    return ready.count(0) / len(ready)


def in_time_share(evidence: Evidence) -> float:
    """Return the part of the real steps whose saving no late batch takes back; 1 where that is not known."""
    share = not_ready_share(evidence)
    capacity = evidence.config.queue_capacity
    return 1.0 if share is None or capacity == 0 else max(0.0, 1 - capacity * share)


def _of_means(evidence: Evidence, step_s: float) -> dict[str, Interval]:
    """The same from a row's mean phases, without intervals."""
    handed = evidence.config.num_workers > 0
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


def _tells_lead(stretch: Stretch) -> bool:
    return stretch.ahead_s is not None and len(stretch.lead_s) == len(stretch.step_s)


def _drained_s(stretch: Stretch) -> float:
    """What of handing over in a mean step the host was ahead enough to hide, before a call drained that."""
    ahead_s = stretch.ahead_s or 0.0
    waits = zip(stretch.wait_s, stretch.ready, stretch.lead_s, strict=True)
    covered = [min(wait, max(0.0, ahead_s - lead)) for wait, was, lead in waits if was == 1]
    return sum(covered) / len(stretch.step_s)
