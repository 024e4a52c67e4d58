"""From a training loop that was watched to a row of the Document and the evidence behind it. Pure.

An attached process is told in the engine's words, as one generation of one process whose blocks are windows
of its steps, so that everything from there on is what bench and diagnose have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from perfkit.diagnosis import Evidence
from perfkit.diagnosis.witnesses import DISTURBED_SHARE, disturbed_share
from perfkit.document import Row
from perfkit.engine.collect import own_delay_s
from perfkit.engine.phases import StepMeans, step_means, together
from perfkit.engine.plan import RowPlan
from perfkit.engine.production import loader_means
from perfkit.engine.results import BlockResult, GenerationResult, ProcessResult
from perfkit.records import StepRecord
from perfkit.stats import Interval, effective_sizes, mean_interval
from perfkit.study.attached import intervals
from perfkit.study.attached.batches import made, making
from perfkit.study.attached.config import ARCH, config_of
from perfkit.study.attached.load import Loads
from perfkit.study.attached.loop import Loop, loop_of
from perfkit.study.attached.notes import notes_of
from perfkit.study.attached.passes import passes_of
from perfkit.study.attached.read import Recorded
from perfkit.study.attached.threads import (
    fetched_elsewhere,
    row_without_waits,
    waits_unseen,
    without_waits,
)
from perfkit.study.attached.windows import compared, windows
from perfkit.study.attached.work import dispatch_of, long_forward
from perfkit.study.diagnose.evidence import evidence_of
from perfkit.study.rows import make_rows
from perfkit.study.seen import functions_in, known

VARIANT = "script"
NOBODY_LOOKED = Loads()
_NOT_ASKED = (
    "speedup", "step_speedup", "memory_ratio", "flops_per_sample", "mfu", "gemm_ceiling_share",
)  # fmt: skip
"""What a watched script is not run for."""


@dataclass(frozen=True, kw_only=True)
class AttachedRun:
    """One training process that was watched."""

    recorded: Recorded
    loop: Loop
    planned: RowPlan
    result: GenerationResult
    evidence: Evidence

    @property
    def row(self) -> Row:
        """The process as the Document tells it."""
        return self.evidence.row


def attached_run(
    recorded: Recorded,
    *,
    key: str = ARCH,
    peak_rss_bytes: int | None = None,
    loads: Loads = NOBODY_LOOKED,
) -> AttachedRun | None:
    """Return what a process did; None where it has not trained.

    Args:
        key: of its row.
        peak_rss_bytes: as the system tells it; None where it does not.
        loads: somebody else's load meanwhile.
    """
    loop = loop_of(recorded, passes_of(recorded))
    if loop is None:
        return None
    variant = key.partition("/")[2] or VARIANT
    planned = RowPlan(key=key, arch=ARCH, variant=variant, config=config_of(recorded, loop))
    process = _process(recorded, loop, key, loads)
    elsewhere = fetched_elsewhere(recorded, loop)
    if elsewhere:
        process = without_waits(process)
    result = GenerationResult(
        number=1,
        group=0,
        palindromes=len(process.blocks),
        side_by_side=True,
        processes=(process,),
        cost_s=(loop.to_ns - loop.steps[0].start_ns) * 1e-9,
        palindrome_s=0.0,
    )
    (row,) = make_rows([planned], [result], {})
    row = _completed(row, recorded, loop, process, peak_rss_bytes)
    evidence = evidence_of(row, planned, process, recorded.environment)
    unseen = waits_unseen(recorded, loop)
    if unseen is not None:
        evidence = replace(evidence, row=row_without_waits(row, unseen))
    # what waits for another thread's batches is told by its own words
    seen = {} if elsewhere else loop.untracked
    evidence = replace(
        evidence,
        attached=True,
        work=loop.work,
        untracked=seen,
        waited=loop.waited,
        long_forward=long_forward(recorded, evidence.row.phases_s),
        making=making(recorded, loop),
        first_making=known(functions_in(recorded.told("first_batch_stack"))),
        dispatch=dispatch_of(recorded, loop.steady, evidence.row.phases_s),
        growth=None if disturbed_share(evidence) > DISTURBED_SHARE else loop.growth,
    )
    return AttachedRun(
        recorded=recorded, loop=loop, planned=planned, result=result, evidence=evidence
    )


def _process(recorded: Recorded, loop: Loop, key: str, loads: Loads) -> ProcessResult:
    # who makes batches beside the training makes them ahead, whatever loader it goes over
    loader = {} if loop.waited else loader_means(made(recorded, loop)[1])
    edges: dict[str, Any] = {
        "periodic": {name: {"run_s": s, "every": 1} for name, s in loop.work_s.items()}
    }
    if loop.start_s is not None:
        edges |= {"epoch_start": loop.start_s, "pass_steps": 0}
    if loop.evaluation_s > 0:
        edges["evaluation"] = loop.evaluation_s
    stretches = list(windows(loop.steady))
    means = [step_means(steps) for steps in stretches]
    pooled = together(stretches, means)
    return ProcessResult(
        key=key,
        status="ok",
        folder=recorded.folder,
        blocks=tuple(
            _block(number, steps, of_window, loader, loads)
            for number, (steps, of_window) in enumerate(zip(stretches, means, strict=True))
        ),
        phases_s=pooled.phases_s,
        phases_clock=pooled.clock,
        startup_s=_startup_s(loop, loader),
        edges=edges,
        environment=recorded.environment,
    )


def _startup_s(loop: Loop, loader: dict[str, float]) -> dict[str, float]:
    """What starting costs, with what a new worker does before its first batch told as its start.

    Asking for an iterator only begins processes: their imports, and the copy of the dataset, are in the wait
    for the first batch, beyond the making of one.
    """
    found = dict(loop.startup_s)
    if "worker_start" in found and "fetch_s" in loader:
        made_s = loader["fetch_s"] + loader.get("collate_s", 0.0)
        new_s = max(0.0, found["first_batch"] - made_s)
        found["worker_start"] += new_s
        found["first_batch"] -= new_s
    return found


def _block(
    number: int,
    steps: Sequence[StepRecord],
    means: StepMeans,
    loader: dict[str, float],
    loads: Loads,
) -> BlockResult:
    wall_s = sum(step.step_s for step in steps)
    waits = [step.exposed_wait_s for step in steps]
    known = [wait for wait in waits if not math.isnan(wait)]
    start_ns, last_ns = steps[0].start_ns, intervals.end_of(steps[-1])
    foreign_s = loads.foreign_s(start_ns, last_ns)
    return BlockResult(
        number=number,
        arm="real",
        palindrome=number,
        steps=len(steps),
        samples=sum(step.samples for step in steps if step.samples > 0),
        start_ns=start_ns,
        # its steps alone: between them lies what is no step
        end_ns=start_ns + round(wall_s * 1e9),
        deferred_s=0.0,
        step_times_s=tuple(step.step_s for step in steps),
        phases_s=means.phases_s,
        exposed_wait_s=fmean(known) if known else None,
        queue_start=-1,
        queue_end=-1,
        steady=True,
        unsteady_because=None,
        disturbed=loads.disturbed(start_ns, last_ns),
        foreign_cpu_s=foreign_s,
        own_s=0.0,
        loader=loader,
        phases_clock=means.clock,
        not_ready_share=means.not_ready_share,
        run_delay_s=own_delay_s(means.run_delay_s, len(steps), foreign_s),
        waits_s=tuple(waits) if len(known) == len(waits) else (),
        ready=tuple(step.ready for step in steps),
    )


def _completed(
    row: Row, recorded: Recorded, loop: Loop, process: ProcessResult, peak_rss_bytes: int | None
) -> Row:
    """The row with what only an attached process has: windows in the place of generations, and its notes."""
    unavailable = dict(row.unavailable)
    parts_s = sum(row.epoch_parts_s.values()) - row.epoch_parts_s.get("steps", 0.0)
    epochs = [parts_s + loop.steps_per_epoch * block.step_s for block in process.blocks]
    if loop.epochs_seen < 2:
        # what was seen of a first epoch is no forecast of later ones
        epochs = []
        unavailable["epoch_time_s"] = "first_epoch"
    if any(step.samples < 0 for step in loop.steady):
        row = replace(row, samples_per_sec=None)
        unavailable["samples_per_sec"] = "no_data"
    overhead = _overhead(recorded, loop)
    if overhead is None:
        # it is told when the process ends
        unavailable["overhead_share"] = "no_data"
    if peak_rss_bytes is not None:
        unavailable.pop("peak_rss_bytes", None)
    return replace(
        row,
        epoch_time_s=_of_neighbours(epochs) if epochs else None,
        generation_epoch_time_s=tuple(epochs),
        generation_speedup=(),
        windows=compared(loop),
        speedup=None,
        step_speedup=None,
        overhead_share=overhead,
        peak_rss_bytes=peak_rss_bytes,
        notes=(*row.notes, *notes_of(recorded, loop)),
        unavailable=unavailable | dict.fromkeys(_NOT_ASKED, "not_asked"),
    )


def _of_neighbours(epochs: Sequence[float]) -> Interval:
    """The mean of windows that follow each other, which are not independent."""
    (size,) = effective_sizes(epochs)
    return mean_interval(epochs, size=size)


def _overhead(recorded: Recorded, loop: Loop) -> float | None:
    """The recorder's own calls as a share of the steps; None where they were not told."""
    spent_s = sum(step.step_s for step in loop.steps)
    told = [one["own_s"] for one in recorded.told("cost") if "own_s" in one]
    return told[-1] / spent_s if told and spent_s > 0 else None
