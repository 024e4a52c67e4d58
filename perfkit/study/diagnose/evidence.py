"""From what came back of one process to what the rules may look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from perfkit.diagnosis import Evidence
from perfkit.diagnosis.attribution import attribute
from perfkit.diagnosis.evidence import Burst, Dispatch, Stretch
from perfkit.document import Row
from perfkit.engine.plan import RowPlan
from perfkit.engine.results import BlockResult, ProcessResult, Profile
from perfkit.study.forecast import known_parts_s, lost_of_the_epoch
from perfkit.study.seen import functions_in, known


def evidence_of(
    row: Row, planned: RowPlan, process: ProcessResult, environment: Mapping[str, Any]
) -> Evidence:
    """Return the evidence that one process gives, its epoch attributed.

    Where a part of the epoch was lost, and there is no forecast of it, it is that of the other parts.

    Args:
        row: the process as the Document tells it.
        environment: the Document's.
    """
    if process.loader_samples_per_sec is not None:
        alone = {"samples_per_sec": process.loader_samples_per_sec}
        row = replace(row, loader={**row.loader, **alone})
    lost = lost_of_the_epoch(process)
    if lost:
        row = replace(row, epoch_parts_s=known_parts_s(process, planned.config) or {})
    found = Evidence(
        row=row,
        config=planned.config,
        rows=(row,),
        stretches=tuple(map(_stretch, process.blocks)),
        burst=_burst(process.profile, _real_step_s(process)),
        dispatch=_dispatch(process.profile),
        telemetry=row.telemetry or None,
        making=known(functions_in(process.worker_stacks)),
        environment=environment,
        lost={name: process.unavailable.get(name, "failed") for name in lost},
    )
    return replace(found, attribution=attribute(found))


def _stretch(block: BlockResult) -> Stretch:
    return Stretch(
        arm=block.arm,
        palindrome=block.palindrome,
        wall_s=block.wall_s,
        step_s=block.step_times_s,
        wait_s=block.waits_s,
        ready=block.ready,
        lead_s=block.leads_s,
        ahead_s=block.ahead_s,
        phases_s=block.phases_s,
        run_delay_s=block.run_delay_s,
        workers_cpu_s=block.workers_cpu_s,
        disturbed=block.disturbed,
    )


def _real_step_s(process: ProcessResult) -> float | None:
    """Mean seconds of a step as training takes them; None without blocks."""
    real = [block for block in process.blocks if block.arm == "real"]
    steps = sum(block.steps for block in real)
    return sum(block.wall_s for block in real) / steps if steps else None


def _burst(profile: Profile | None, step_s: float | None) -> Burst | None:
    trace = None if profile is None else profile.trace
    if profile is None or trace is None:
        return None
    busy_share = None
    if trace.busy_s is not None and step_s:
        busy_share = min(1.0, trace.busy_s / step_s)
    return Burst(
        steps=trace.steps,
        busy_share=busy_share,
        launches=trace.launches,
        synchronising=profile.synchronising or {},
        operators=trace.operators,
    )


def _dispatch(profile: Profile | None) -> Dispatch | None:
    if profile is None:
        return None
    return Dispatch(fixed_share=profile.fixed_share, operators_share=profile.operators_share)
