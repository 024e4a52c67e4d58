"""From what was asked of bench to a study that can run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from perfkit import discovery
from perfkit.engine.child import Child
from perfkit.engine.events import Event
from perfkit.runfolder import StudyFolder
from perfkit.study import start
from perfkit.study.bench.answer import BenchAnswer
from perfkit.study.bench.plan import BenchPlan
from perfkit.study.bench.request import BUILT_IN, BenchRequest
from perfkit.study.frame import Frame
from perfkit.study.start import Prepared

KIND = "bench"
BUDGET_S = 120.0
"""Default time budget of up to two rows."""
BUDGET_PER_ROW_S = 60.0
"""Default time budget of each row, from two on."""
BLOCK_S = 1.0
"""How long a block is, and …"""
GPU_BLOCK_S = 1.5
"""… on a GPU, whose utilisation looks back a second: only what is read later is of the block."""


def begin(request: BenchRequest, emit: Callable[[Event], None]) -> Prepared:
    """Look at the machine, lay out the rows, make the data and the study folder.

    Raises:
        UsageError: something asked for does not exist or cannot be had.
        PerfkitError: the data cannot be made.
    """
    for arch in request.archs:
        discovery.check_workload(arch)
    archs = request.archs or BUILT_IN
    with Child() as child:
        machine, environment, declared = start.look(request.settings.device, archs, child)
        # before any data is made, so that a variant that is not there is told at once
        task = request.on(machine, declared)
        ground = start.make_ground(KIND, task.layout, request, machine, emit, child)
    rows = ground.layout.rows
    plan = BenchPlan(
        rows=rows,
        generations=request.generations,
        steps=request.steps,
        side_by_side=not (request.sequential or (ground.memory_filled and len(rows) > 1)),
        block_s=GPU_BLOCK_S if machine.device.startswith("cuda") else BLOCK_S,
        full_epoch=request.full_epoch,
        seed=request.seed,
    )
    frame = Frame(
        command=request.command,
        environment=environment,
        base=ground.layout.bases[0],
        budget_s=task.budget_s or max(BUDGET_S, BUDGET_PER_ROW_S * len(rows)),
        warnings=task.warnings,
        sizes=ground.sizes,
    )
    start.store(KIND, ground.folder, plan, frame)
    return replace(_prepared(ground.folder, plan, frame), search_s=ground.search_s)


def reopen(request: BenchRequest, name: str) -> Prepared:
    """Open a bench that was interrupted; see `perfkit.study.start.reopen`."""
    return replace(_prepared(*start.reopen(KIND, request, name, BenchPlan)), resumed=True)


def _prepared(folder: StudyFolder, plan: BenchPlan, frame: Frame) -> Prepared:
    answer = BenchAnswer(plan=plan, frame=frame)
    return Prepared(kind=KIND, folder=folder, plan=plan, answer=answer, frame=frame)
