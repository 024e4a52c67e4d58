"""`perfkit bench`: time whole training steps of workloads under variants, and compare them."""

from __future__ import annotations

import shlex
import sys
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.cli import options
from perfkit.errors import UsageError

if TYPE_CHECKING:
    from perfkit.study.bench.request import BenchRequest

_ROWS = "Rows"


def bench(
    arch: Annotated[
        list[str] | None,
        typer.Option(
            "--arch",
            "--workload",
            help="Workload: convnext, baseline, timm:NAME, FILE.py:FACTORY, MODULE:FACTORY; repeatable.",
            rich_help_panel=_ROWS,
        ),
    ] = None,
    amp: Annotated[
        bool, typer.Option("--amp", help="Add rows in mixed precision.", rich_help_panel=_ROWS)
    ] = False,
    compile: Annotated[
        bool, typer.Option("--compile", help="Add rows under torch.compile.", rich_help_panel=_ROWS)
    ] = False,
    compile_mode: Annotated[
        str | None,
        typer.Option(help="Mode of torch.compile; implies --compile.", rich_help_panel=_ROWS),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help="Add a row, e.g. bf16+channels_last or num_workers=4; repeatable.",
            rich_help_panel=_ROWS,
        ),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(help="NAME=V1,V2,…: a row per value; repeatable.", rich_help_panel=_ROWS),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="story: the thirty-minute case, as far as it fits here, and its advice; 10 min.",
            rich_help_panel=_ROWS,
        ),
    ] = None,
    device: options.Device = None,
    data: options.Data = None,
    batch_size: options.BatchSize = None,
    memory_limit: options.MemoryLimit = None,
    image_size: options.Whole = None,
    num_samples: options.NumSamples = None,
    num_workers: options.Whole = None,
    prefetch_factor: options.Whole = None,
    pin_memory: options.PinMemory = None,
    persistent_workers: options.PersistentWorkers = None,
    base_channels: options.Whole = None,
    num_blocks: options.NumBlocks = None,
    learning_rate: options.LearningRate = None,
    metrics_every: options.Every = None,
    viz_every: options.Every = None,
    epochs: options.Epochs = None,
    threads: options.Threads = None,
    time_budget: Annotated[
        float | None,
        typer.Option(help="Seconds in all; 120, or 60 a row.", rich_help_panel=options.TIME),
    ] = None,
    generations: Annotated[
        int | None,
        typer.Option(
            help="Pin how often all processes are replaced.", rich_help_panel=options.TIME
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Pin the steps of a block.", rich_help_panel=options.TIME)
    ] = None,
    full_epoch: Annotated[
        bool,
        typer.Option(
            "--full-epoch",
            help="Run real epochs beside the forecast.",
            rich_help_panel=options.TIME,
        ),
    ] = False,
    seed: options.Seed = 0,
    timeout: options.Timeout = None,
    sequential: Annotated[
        bool,
        typer.Option("--sequential", help="One process at a time.", rich_help_panel=options.TIME),
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option(
            help="Go on with a study: its folder, or latest.", rich_help_panel=options.TIME
        ),
    ] = None,
    json: options.Json = None,
) -> int:
    """Time whole training steps under variants: epoch time, memory, speed-up with its interval.

    Without flags: convnext and baseline in FP32 and mixed precision. `--arch convnext --amp` is two rows.
    """
    given = options.settings(locals())
    began = monotonic()
    for flag, value, least in (
        ("--time-budget", time_budget, 1),
        ("--generations", generations, 1),
        ("--steps", steps, 1),
        ("--timeout", timeout, 1),
        ("--seed", seed, 0),
    ):
        options.check_least(flag, value, least)
    from perfkit.cli.measure import LEAST_TIMEOUT_S, measure
    from perfkit.cli.output import check_json_target
    from perfkit.cli.progress import Progress
    from perfkit.study.bench.begin import begin, resume_bench
    from perfkit.study.bench.request import BenchRequest

    request = BenchRequest(
        command=shlex.join(["perfkit", *sys.argv[1:]]),
        archs=tuple(arch or ()),
        amp=amp,
        compile=compile,
        compile_mode=compile_mode,
        variants=tuple(variant or ()),
        sweeps=tuple(sweep or ()),
        preset=preset,
        device=device,
        settings=given,
        largest_batch=batch_size == "max",
        full_epoch=full_epoch,
        budget_s=time_budget,
        generations=generations,
        steps=steps,
        seed=seed,
        sequential=sequential,
    )
    check_json_target(json)
    if resume is not None:
        _refuse_beside_resume(request)
    with Progress(None) as progress:
        prepared = (
            begin(request, progress, timeout_s=timeout or LEAST_TIMEOUT_S)
            if resume is None
            else resume_bench(resume, time_budget)
        )
    return measure(prepared, began, timeout, json, resumed=resume is not None)


def _refuse_beside_resume(request: BenchRequest) -> None:
    pinned = (request.preset, request.device, request.generations, request.steps)
    settings = request.settings.values()
    switches = (request.names_rows, request.sequential, request.full_epoch, request.seed)
    if any(switches) or request.largest_batch or any(x is not None for x in (*pinned, *settings)):
        raise UsageError(
            "--resume goes on with the rows and settings of its study: no others can be given",
            hint="beside it only --time-budget, --timeout and --json apply",
        )
