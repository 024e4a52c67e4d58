"""From what was asked of diagnose to a study that can run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from perfkit import discovery
from perfkit.engine.child import Child
from perfkit.engine.events import Event
from perfkit.runfolder import StudyFolder
from perfkit.study import start
from perfkit.study.diagnose import verify
from perfkit.study.diagnose.answer import DiagnoseAnswer
from perfkit.study.diagnose.plan import DiagnosePlan
from perfkit.study.diagnose.request import DiagnoseRequest
from perfkit.study.frame import Frame
from perfkit.study.settings import warnings
from perfkit.study.start import Prepared

KIND = "diagnose"
BUDGET_S = 60.0
"""What a diagnosis may take, start-up included, unless the flags say otherwise; verifying comes on top."""


def begin(request: DiagnoseRequest, emit: Callable[[Event], None]) -> Prepared:
    """Look at the machine, lay out the training, make the data and the study folder.

    Raises:
        UsageError: something asked for does not exist or cannot be had.
        PerfkitError: the data cannot be made.
    """
    discovery.check_workload(request.arch)
    with Child() as child:
        machine, environment, declared = start.look(request.settings.device, [request.arch], child)
        # before any data is made, so that a variant that is not there is told at once
        layout = request.on(machine, declared)
        ground = start.make_ground(KIND, layout, request, machine, emit, child)
    (base,) = ground.layout.bases
    budget_s, verify_s = budgets(request.verify, request.budget_s)
    plan = DiagnosePlan(
        rows=ground.layout.rows,
        base=base,
        environment=environment,
        verify=request.verify,
        verify_s=verify_s,
        operators=request.operators,
        side_by_side=not ground.memory_filled,
        seed=request.seed,
    )
    frame = Frame(
        command=request.command,
        environment=environment,
        base=base,
        budget_s=budget_s,
        warnings=warnings(machine, base),
        sizes=ground.sizes,
    )
    start.store(KIND, ground.folder, plan, frame)
    return replace(_prepared(ground.folder, plan, frame), search_s=ground.search_s)


def budgets(most: int, asked_s: float | None) -> tuple[float, float]:
    """Return what a diagnosis may take in all, and the part of it that is for verifying, in seconds.

    Args:
        most: remedies that are verified at most.
        asked_s: what it may take in all, where that was asked for. The diagnosis comes first; of more than
            is usual both get more.
    """
    verify_s = verify.budget_s(verify.most_rows(most)) if most else 0.0
    usual_s = BUDGET_S + verify_s
    if asked_s is None:
        return usual_s, verify_s
    diagnosing_s = max(min(asked_s, BUDGET_S), asked_s * BUDGET_S / usual_s)
    return asked_s, asked_s - diagnosing_s


def takes(request: DiagnoseRequest) -> str:
    """Say how long a diagnosis takes at most."""
    in_all_s, verify_s = budgets(request.verify, request.budget_s)
    part = f", {verify_s:.0f} s of them to run remedies" if verify_s else ""
    return f"it takes {in_all_s:.0f} s at most{part}"


def reopen(request: DiagnoseRequest, name: str) -> Prepared:
    """Open a diagnosis that was interrupted; see `perfkit.study.start.reopen`."""
    folder, plan, frame = start.reopen(KIND, request, name, DiagnosePlan)
    if request.budget_s is not None:
        plan = replace(plan, verify_s=budgets(plan.verify, request.budget_s)[1])
    return replace(_prepared(folder, plan, frame), resumed=True)


def _prepared(folder: StudyFolder, plan: DiagnosePlan, frame: Frame) -> Prepared:
    answer = DiagnoseAnswer(plan=plan, frame=frame)
    return Prepared(kind=KIND, folder=folder, plan=plan, answer=answer, frame=frame)
