"""From the step records of a block to what its steps were spent on. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from perfkit.document import Clock
from perfkit.records import StepRecord

PHASES = ("data_wait", "h2d", "forward", "backward", "optimizer", "other")
LEAST_MARKED = 20
"""Where only some steps were marked, fewer than this say nothing of the others."""
MARKED_ALIKE = 0.01
"""And they may differ from all by so much, or by twice the noise of their mean: else they do not speak for
the block, and it has no phases."""


@dataclass(frozen=True, kw_only=True)
class StepMeans:
    """Means over the steps of a block, in seconds."""

    phases_s: dict[str, float] = field(default_factory=dict)
    """`waiting` and `transfer`, or `data_wait` where readiness is unknown; the phases that were seen;
    `other`, the residual, so that they add up to the mean step. Empty where the block has no phases."""
    clock: Clock | None = None
    not_ready_share: float | None = None
    run_delay_s: float | None = None


def step_means(records: Sequence[StepRecord]) -> StepMeans:
    """Average the steps of one block.

    On a device the phases are those of its own clock: `data_wait` is the wait that was exposed, and what the
    host spent launching is in no phase. A block in which no step was marked has none, for the host's
    phases there tell how long launching took, which is something else.
    """
    ready = [r.ready for r in records if r.ready >= 0]
    whole = bool(records) and len(ready) == len(records)
    phases_s, clock = _phases(records, split=whole)
    return StepMeans(
        phases_s=phases_s,
        clock=clock,
        not_ready_share=ready.count(0) / len(ready) if whole else None,
        run_delay_s=_mean(r.run_delay_s for r in records),
    )


def together(blocks: Sequence[Sequence[StepRecord]], each: Sequence[StepMeans]) -> StepMeans:
    """Average the steps of all blocks, where no single one has steps enough with their phases marked.

    Args:
        each: what the blocks say by themselves; where one of them has phases, this has none.
    """
    if any(means.phases_s for means in each):
        return StepMeans()
    return step_means([record for block in blocks for record in block])


def ahead_s(records: Sequence[StepRecord]) -> float | None:
    """Return how far the host was ahead of the device at its furthest in a step, seconds.

    Mean over the steps whose phases the device marked; None where there is none. Both clocks are followed
    from where the step asked for its batch, and read at the end of backward and of the optimizer: a call that
    waits for the device comes after one of them, if at all.
    """
    found = [each for r in records if not math.isnan(each := _furthest_s(r))]
    return fmean(found) if found else None


def _furthest_s(record: StepRecord) -> float:
    if math.isnan(record.lead_s) or math.isnan(record.device_backward_s):
        return math.nan
    device_s, host_s = _device_phases(record), _host_phases(record)
    gains = [
        of_device - of_host
        for of_device, of_host in zip(device_s, host_s, strict=True)
        if not math.isnan(of_device) and not math.isnan(of_host)
    ]
    updates = not math.isnan(record.device_optimizer_s)
    lead_s = record.lead_s + record.exposed_wait_s - record.data_wait_s + sum(gains)
    before_update_s = lead_s - gains[-1] if updates else lead_s
    return max(0.0, lead_s, before_update_s)


def _phases(records: Sequence[StepRecord], *, split: bool) -> tuple[dict[str, float], Clock | None]:
    on_device = [r for r in records if not math.isnan(r.device_step_s)]
    if on_device:
        marked = [r for r in on_device if any(not math.isnan(v) for v in _device_phases(r))]
        if not marked or not _alike(marked, on_device):
            return {}, None
        waits = [(r.ready, r.exposed_wait_s) for r in on_device]
        of_marked = [_device_phases(r) for r in marked]
        step_s = fmean(r.device_step_s for r in on_device)
        return _means(waits, of_marked, step_s, split=split), "device"
    if not records or all(math.isnan(r.exposed_wait_s) for r in records):
        return {}, None
    waits = [(r.ready, r.data_wait_s) for r in records]
    phases = [_host_phases(r) for r in records]
    step_s = fmean(r.step_s for r in records)
    return _means(waits, phases, step_s, split=split), "host"


def _means(
    waits: Sequence[tuple[int, float]],
    phases: Sequence[tuple[float, ...]],
    step_s: float,
    *,
    split: bool,
) -> dict[str, float]:
    if split:
        means = {
            "waiting": sum(wait for ready, wait in waits if not ready) / len(waits),
            "transfer": sum(wait for ready, wait in waits if ready) / len(waits),
        }
    else:
        means = {"data_wait": fmean(wait for _, wait in waits)}
    for name, values in zip(PHASES[1:-1], zip(*phases, strict=True), strict=True):
        seen = [value for value in values if not math.isnan(value)]
        if seen:
            # a step that lacks it spent nothing on it: an update every fourth step is a quarter each
            means[name] = sum(seen) / len(values)
    means["other"] = step_s - sum(means.values())
    return means


def _device_phases(record: StepRecord) -> tuple[float, float, float, float]:
    return (
        record.device_h2d_s,
        record.device_forward_s,
        record.device_backward_s,
        record.device_optimizer_s,
    )


def _host_phases(record: StepRecord) -> tuple[float, float, float, float]:
    return record.h2d_s, record.forward_s, record.backward_s, record.optimizer_s


def _alike(marked: Sequence[StepRecord], every: Sequence[StepRecord]) -> bool:
    if len(marked) == len(every):
        return True
    if len(marked) < LEAST_MARKED:
        return False
    times = [r.device_step_s for r in marked]
    whole_s = fmean(r.device_step_s for r in every)
    noise_s = stdev(times) / math.sqrt(len(times))
    return abs(fmean(times) - whole_s) <= max(MARKED_ALIKE * whole_s, 2 * noise_s)


def _mean(values: Iterable[float]) -> float | None:
    present = [v for v in values if not math.isnan(v)]
    return fmean(present) if present else None
