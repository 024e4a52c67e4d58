"""From what was asked of bench to a study that can run: the rows, the data, the folder."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from perfkit import discovery, variants
from perfkit.config import RunConfig
from perfkit.engine.events import Event, Trying
from perfkit.engine.trial import fits
from perfkit.errors import UsageError
from perfkit.runfolder import StudyFolder
from perfkit.study import start
from perfkit.study.bench.answer import BenchAnswer
from perfkit.study.bench.largest import Largest, largest_batch
from perfkit.study.bench.plan import BenchPlan
from perfkit.study.bench.presets import Preset
from perfkit.study.bench.request import BenchRequest, chosen_preset, settings_of, warnings_of
from perfkit.study.frame import Frame
from perfkit.study.settings import refuse_empty_epochs, sized
from perfkit.study.sizes import chosen
from perfkit.study.start import Prepared
from perfkit.telemetry import host

KIND = "bench"
BUDGET_S = 120.0
"""Default time budget of up to two rows."""
BUDGET_PER_ROW_S = 60.0
"""Default time budget of each row, from two on."""
HOST_SHARE = 0.8
"""Part of the free host memory that a search for the largest batch may use."""


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
    machine, environment = start.look(request.device)
    preset = chosen_preset(request, machine)
    archs = request.workloads(preset)
    bases = [settings_of(request, machine, preset, arch) for arch in archs]
    # before any data is made, so that a variant that is not there is told at once
    request.rows(bases, preset)
    data = start.make_data(bases, emit, timeout_s=timeout_s)
    asked = request.settings.get("num_samples")
    bases = [sized(base, d.num_samples, asked) for base, d in zip(bases, data, strict=True)]
    refuse_empty_epochs(request.rows(bases, preset))
    folder = StudyFolder.create(KIND)
    sizes = chosen(machine, bases[0])
    if data[0].path:
        sizes += f"; data in {start.at_home(data[0].path)}"
    if request.largest_batch:
        found, bases = with_largest_batch(folder, bases, emit, timeout_s)
        sizes += f"; {found.sentence()}"
    planned = request.rows(bases, preset)
    plan = BenchPlan(
        rows=planned,
        generations=request.generations,
        steps=request.steps,
        side_by_side=not request.sequential,
        full_epoch=request.full_epoch,
        seed=request.seed,
    )
    frame = Frame(
        command=request.command,
        environment=environment,
        base=bases[0],
        budget_s=_budget_s(request, preset, len(planned)) - start.RESERVE_S,
        warnings=warnings_of(machine, bases[0], preset),
        sizes=sizes,
    )
    start.store(KIND, folder, plan, frame)
    return _prepared(folder, plan, frame)


def resume_bench(name: str, budget_s: float | None) -> Prepared:
    """Open a bench that was interrupted; see `perfkit.study.start.reopen`."""
    return _prepared(*start.reopen(KIND, name, BenchPlan, budget_s))


def _prepared(folder: StudyFolder, plan: BenchPlan, frame: Frame) -> Prepared:
    answer = BenchAnswer(plan=plan, frame=frame)
    return Prepared(kind=KIND, folder=folder, plan=plan, answer=answer, frame=frame)


def _budget_s(request: BenchRequest, preset: Preset | None, rows: int) -> float:
    if request.budget_s is not None:
        return request.budget_s
    if preset is not None and not request.names_rows:
        return preset.budget_s
    return max(BUDGET_S, BUDGET_PER_ROW_S * rows)


def with_largest_batch(
    folder: StudyFolder,
    bases: Sequence[RunConfig],
    emit: Callable[[Event], None],
    timeout_s: float,
) -> tuple[Largest, list[RunConfig]]:
    """Search with the first base in FP32, and give every base that batch, its learning rate scaled.

    Args:
        timeout_s: how long one try may take.

    Raises:
        UsageError: no batch fits, or how much memory is free cannot be told and no limit is given.
    """
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
