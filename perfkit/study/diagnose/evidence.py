"""From what came back of one process to what the rules may look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from perfkit.diagnosis import Evidence
from perfkit.diagnosis.attribution import attribute
from perfkit.diagnosis.evidence import Stretch
from perfkit.document import Row
from perfkit.engine.plan import RowPlan
from perfkit.engine.results import BlockResult, ProcessResult


def evidence_of(
    row: Row, planned: RowPlan, process: ProcessResult, environment: Mapping[str, Any]
) -> Evidence:
    """Return the evidence that one process gives, its epoch attributed.

    Args:
        row: the process as the Document tells it.
        environment: the Document's.
    """
    if process.loader_samples_per_sec is not None:
        alone = {"samples_per_sec": process.loader_samples_per_sec}
        row = replace(row, loader={**row.loader, **alone})
    found = Evidence(
        row=row,
        config=planned.config,
        rows=(row,),
        stretches=tuple(map(_stretch, process.blocks)),
        telemetry=row.telemetry or None,
        environment=environment,
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
        phases_s=block.phases_s,
        run_delay_s=block.run_delay_s,
        workers_cpu_s=block.workers_cpu_s,
        disturbed=block.disturbed,
    )
