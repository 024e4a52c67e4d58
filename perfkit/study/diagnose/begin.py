"""From what was asked of diagnose to a study that can run."""

from __future__ import annotations

from collections.abc import Callable

from perfkit import discovery
from perfkit.engine.events import Event
from perfkit.runfolder import StudyFolder
from perfkit.study import start
from perfkit.study.diagnose.answer import DiagnoseAnswer
from perfkit.study.diagnose.plan import DiagnosePlan
from perfkit.study.diagnose.request import DiagnoseRequest
from perfkit.study.frame import Frame
from perfkit.study.settings import sized, warnings
from perfkit.study.sizes import chosen
from perfkit.study.start import Prepared

KIND = "diagnose"
BUDGET_S = 60.0
"""What an answer may take, start-up included, unless the flags say otherwise."""


def begin(request: DiagnoseRequest, emit: Callable[[Event], None], *, timeout_s: float) -> Prepared:
    """Look at the machine, lay out the training, make the data and the study folder.

    Args:
        timeout_s: how long building a workload may take.

    Raises:
        UsageError: something asked for does not exist or cannot be had.
        PerfkitError: the data cannot be made.
    """
    discovery.check_workload(request.arch)
    machine, environment = start.look(request.device)
    base = request.base(machine)
    # before any data is made, so that a variant that is not there is told at once
    request.row(base)
    (data,) = start.make_data([base], emit, timeout_s=timeout_s)
    base = sized(base, data.num_samples, request.settings.get("num_samples"))
    row = request.row(base)
    folder = StudyFolder.create(KIND)
    sizes = chosen(machine, base)
    if data.path:
        sizes += f"; data in {start.at_home(data.path)}"
    budget_s = (request.budget_s or BUDGET_S) - start.RESERVE_S
    plan = DiagnosePlan(rows=(row,), budget_s=budget_s, seed=request.seed)
    frame = Frame(
        command=request.command,
        environment=environment,
        base=base,
        budget_s=budget_s,
        warnings=warnings(machine, base),
        sizes=sizes,
    )
    start.store(KIND, folder, plan, frame)
    return _prepared(folder, plan, frame)


def resume_diagnosis(name: str, budget_s: float | None) -> Prepared:
    """Open a diagnosis that was interrupted; see `perfkit.study.start.reopen`."""
    return _prepared(*start.reopen(KIND, name, DiagnosePlan, budget_s))


def _prepared(folder: StudyFolder, plan: DiagnosePlan, frame: Frame) -> Prepared:
    answer = DiagnoseAnswer(plan=plan, frame=frame)
    return Prepared(kind=KIND, folder=folder, plan=plan, answer=answer, frame=frame)
