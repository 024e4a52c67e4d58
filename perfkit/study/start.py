"""From what was asked to a study that can run: the machine, the rows, the data, the folder."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from perfkit import discovery, variants
from perfkit.codec import to_json
from perfkit.config import RunConfig
from perfkit.engine.events import Event, Trying
from perfkit.engine.helpers import prepare, survey
from perfkit.engine.trial import fits
from perfkit.errors import UsageError
from perfkit.runfolder import StudyFolder, read_as, write_json
from perfkit.study.bench import BenchPlan
from perfkit.study.largest import Largest, largest_batch
from perfkit.study.request import (
    BenchRequest,
    base_settings,
    chosen_preset,
    refuse_empty_epochs,
    sized,
    warnings,
)
from perfkit.study.session import Frame
from perfkit.study.sizes import Machine, chosen
from perfkit.telemetry import host

BUDGET_S = 120.0
"""Default time budget of up to two rows."""
BUDGET_PER_ROW_S = 60.0
"""Default time budget of each row, from two on."""
HOST_SHARE = 0.8
"""Part of the free host memory that a search for the largest batch may use."""
RESERVE_S = 4.0
"""Part of the budget that is kept for ending processes and writing the answer."""
ENVIRONMENT_KEYS = (
    "perfkit", "python", "torch", "torch_cuda", "device_name", "device_uuid", "cpu_model", "cores_usable",
)  # fmt: skip
"""What must be the same for a study to go on."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A study that can run."""

    folder: StudyFolder
    plan: BenchPlan
    frame: Frame


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """What `study.json` holds: enough to go on."""

    plan: BenchPlan
    frame: Frame


def begin(request: BenchRequest, emit: Callable[[Event], None], *, timeout_s: float) -> Prepared:
    """Look at the machine, lay out the rows, make the data and the study folder.

    Args:
        timeout_s: how long building a workload, or trying whether a batch fits, may take.

    Raises:
        UsageError: something asked for does not exist or cannot be had.
        PerfkitError: the data cannot be made.
    """
    for arch in request.archs:
        discovery.check_workload(arch)
    surveyed = survey(request.device)
    environment = surveyed["environment"]
    machine = Machine.of(surveyed["device"], environment)
    preset = chosen_preset(request, machine)
    archs = request.workloads(preset)
    bases = [base_settings(request, machine, preset, arch) for arch in archs]
    # before any data is made, so that a variant that is not there is told at once
    request.rows(bases, preset)
    data = [prepare(base, emit, timeout_s=timeout_s) for base in bases]
    bases = [sized(request, b, d.num_samples) for b, d in zip(bases, data, strict=True)]
    refuse_empty_epochs(request.rows(bases, preset))
    folder = StudyFolder.create("bench")
    extra = ""
    if request.largest_batch:
        found, bases = _with_largest_batch(folder, bases, emit, timeout_s)
        extra = f"; {found.sentence()}"
    planned = request.rows(bases, preset)
    budget_s = request.budget_s
    if budget_s is None and preset is not None and not request.names_rows:
        budget_s = preset.budget_s
    if budget_s is None:
        budget_s = max(BUDGET_S, BUDGET_PER_ROW_S * len(planned))
    plan = BenchPlan(
        rows=planned,
        generations=request.generations,
        steps=request.steps,
        side_by_side=not request.sequential,
        full_epoch=request.full_epoch,
        seed=request.seed,
    )
    path = data[0].path
    frame = Frame(
        command=request.command,
        environment=environment,
        base=bases[0],
        budget_s=budget_s - RESERVE_S,
        warnings=warnings(machine, bases[0], preset),
        sizes=chosen(machine, bases[0]) + (f"; data in {_home(path)}" if path else "") + extra,
    )
    write_json(folder.path / "study.json", to_json(_Stored(plan=plan, frame=frame)))
    return Prepared(folder=folder, plan=plan, frame=frame)


def _with_largest_batch(
    folder: StudyFolder,
    bases: Sequence[RunConfig],
    emit: Callable[[Event], None],
    timeout_s: float,
) -> tuple[Largest, list[RunConfig]]:
    """Search with the first base in FP32, and give every base that batch, its learning rate scaled."""
    searched = bases[0]
    if searched.memory_limit_bytes is None and not searched.device.startswith("cuda"):
        # the host's own end of memory is found by the kernel killing somebody: stay well off it
        available = host.Gauge().snapshot().memory_available_bytes
        if available is None:
            raise UsageError(
                "--batch-size max needs a limit here: this system does not tell what memory is free",
                hint="add --memory-limit 8GiB",
            )
        searched = replace(searched, memory_limit_bytes=int(available * HOST_SHARE))

    numbers = itertools.count(1)

    def try_batch(size: int, *, rehearse: bool = False) -> bool:
        emit(Trying(size))
        path = folder.path / "trials" / f"{next(numbers)}-{size}"
        config = replace(searched, batch_size=size)
        return fits(path, config, timeout_s=timeout_s, rehearse=rehearse)

    found = largest_batch(
        try_batch,
        partial(try_batch, rehearse=True),
        start=searched.batch_size,
        most=searched.num_samples,
    )
    scale_lr = variants.get("scale_lr")
    sized_bases = [
        replace(base, batch_size=min(found.batch_size, base.num_samples)) for base in bases
    ]
    return found, [scale_lr.change(base, "1") for base in sized_bases]


def resume(name: str, budget_s: float | None) -> Prepared:
    """Open a study that was interrupted.

    Args:
        name: its folder, a file in it, or `latest`.
        budget_s: a time budget that takes the place of the stored one; None keeps it.

    Raises:
        UsageError: there is none, or the machine or the software is not the one it was begun on.
    """
    folder = StudyFolder.find(name)
    if not (folder.path / "study.json").exists():
        raise UsageError(f"{folder.path} holds no study that can be resumed")
    stored = read_as(_Stored, folder.path / "study.json")
    plan, frame = stored.plan, stored.frame
    now = survey(frame.base.device)["environment"]
    changed = [key for key in ENVIRONMENT_KEYS if now.get(key) != frame.environment.get(key)]
    if changed:
        what = ", ".join(f"{k}: {frame.environment.get(k)} then, {now.get(k)} now" for k in changed)
        raise UsageError(
            f"{folder.path} was measured in another environment ({what})",
            hint="figures of two environments do not mix: start a new bench",
        )
    if budget_s is not None:
        frame = replace(frame, budget_s=budget_s - RESERVE_S)
    return Prepared(folder=folder, plan=plan, frame=frame)


def _home(path: str) -> str:
    home = str(Path.home())
    return "~" + path[len(home) :] if path.startswith(home + os.sep) else path
