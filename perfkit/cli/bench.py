"""`perfkit bench`: time whole training steps of workloads under variants, and compare them."""

from __future__ import annotations

import math
import shlex
import sys
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.errors import UsageError

if TYPE_CHECKING:
    from perfkit.study.bench.request import BenchRequest

_ROWS, _ALL, _TIME, _OUT = "Rows", "Settings of all rows", "Time", "Output"


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
    device: Annotated[
        str | None,
        typer.Option(help="cpu, cuda, cuda:1, mps; the best there is.", rich_help_panel=_ALL),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="jpeg (generated), folder:PATH or memory.", rich_help_panel=_ALL),
    ] = None,
    batch_size: Annotated[
        str | None,
        typer.Option(
            metavar="<int|max>", help="max finds the largest that fits.", rich_help_panel=_ALL
        ),
    ] = None,
    memory_limit: Annotated[
        str | None,
        typer.Option(
            metavar="<size>", help="Memory a process may use, e.g. 8GiB.", rich_help_panel=_ALL
        ),
    ] = None,
    image_size: Annotated[int | None, typer.Option(rich_help_panel=_ALL)] = None,
    num_samples: Annotated[
        int | None, typer.Option(help="Samples of an epoch.", rich_help_panel=_ALL)
    ] = None,
    num_workers: Annotated[int | None, typer.Option(rich_help_panel=_ALL)] = None,
    prefetch_factor: Annotated[int | None, typer.Option(rich_help_panel=_ALL)] = None,
    pin_memory: Annotated[
        bool | None, typer.Option("--pin-memory/--no-pin-memory", rich_help_panel=_ALL)
    ] = None,
    persistent_workers: Annotated[
        bool | None,
        typer.Option("--persistent-workers/--no-persistent-workers", rich_help_panel=_ALL),
    ] = None,
    base_channels: Annotated[int | None, typer.Option(rich_help_panel=_ALL)] = None,
    num_blocks: Annotated[
        int | None, typer.Option(help="Blocks per stage.", rich_help_panel=_ALL)
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(rich_help_panel=_ALL)] = None,
    metrics_every: Annotated[
        int | None, typer.Option(help="Epochs; 0 never.", rich_help_panel=_ALL)
    ] = None,
    viz_every: Annotated[
        int | None, typer.Option(help="Epochs; 0 never.", rich_help_panel=_ALL)
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Epochs that one-time costs are spread over.", rich_help_panel=_ALL),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Torch threads of the trainer.", rich_help_panel=_ALL)
    ] = None,
    time_budget: Annotated[
        float | None,
        typer.Option(help="Seconds in all; 120, or 60 a row.", rich_help_panel=_TIME),
    ] = None,
    generations: Annotated[
        int | None,
        typer.Option(help="Pin how often all processes are replaced.", rich_help_panel=_TIME),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Pin the steps of a block.", rich_help_panel=_TIME)
    ] = None,
    full_epoch: Annotated[
        bool,
        typer.Option(
            "--full-epoch", help="Run real epochs beside the forecast.", rich_help_panel=_TIME
        ),
    ] = False,
    seed: Annotated[int, typer.Option(rich_help_panel=_TIME)] = 0,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds one process may run in all.", rich_help_panel=_TIME),
    ] = None,
    sequential: Annotated[
        bool,
        typer.Option("--sequential", help="One process at a time.", rich_help_panel=_TIME),
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option(help="Go on with a study: its folder, or latest.", rich_help_panel=_TIME),
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(help="Write the Document to a file; - is stdout.", rich_help_panel=_OUT),
    ] = None,
) -> int:
    """Time whole training steps under variants: epoch time, memory, speed-up with its interval.

    Without flags: convnext and baseline in FP32 and mixed precision. `--arch convnext --amp` is two rows.
    """
    began = monotonic()
    for name, value, least in (
        ("--time-budget", time_budget, 1),
        ("--generations", generations, 1),
        ("--steps", steps, 1),
        ("--timeout", timeout, 1),
        ("--seed", seed, 0),
    ):
        if value is not None and not least <= value < math.inf:
            raise UsageError(f"{name} is {value:g}: it should be at least {least}, and finite")
    from perfkit.cli.measure import LEAST_TIMEOUT_S, measure
    from perfkit.cli.output import check_json_target
    from perfkit.cli.progress import Progress
    from perfkit.study.bench.begin import begin, resume_bench
    from perfkit.study.bench.request import BenchRequest

    given = {
        "data": data,
        "image_size": image_size,
        "num_samples": num_samples,
        "num_workers": num_workers,
        "prefetch_factor": prefetch_factor,
        "pin_memory": pin_memory,
        "persistent_workers": persistent_workers,
        "base_channels": base_channels,
        "num_blocks": num_blocks,
        "learning_rate": learning_rate,
        "metrics_every": metrics_every,
        "viz_every": viz_every,
        "epochs": epochs,
        "num_threads": threads,
        "batch_size": None if batch_size in (None, "max") else _whole("--batch-size", batch_size),
        "memory_limit_bytes": None if memory_limit is None else _size(memory_limit),
    }
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


def _whole(flag: str, text: str | None) -> int:
    try:
        return int(text or "")
    except ValueError as error:
        raise UsageError(f"{flag} is {text!r}: it should be a whole number, or max") from error


def _size(text: str) -> int:
    from perfkit import units

    try:
        return units.parse_size(text)
    except ValueError as error:
        raise UsageError(f"--memory-limit: {error}", hint="for example 8GiB or 500MB") from error
