"""`perfkit bench`: time whole training steps of workloads under variants, and compare them."""

from __future__ import annotations

from time import monotonic
from typing import Annotated

from perfkit.cli import options
from perfkit.cli.options import Training

_row = options.in_panel("Rows")


@options.with_training
def bench(
    *,
    arch: Annotated[
        list[str] | None,
        _row(
            "--arch",
            "--workload",
            help="Workload: convnext, baseline, timm:NAME, FILE.py:FACTORY, MODULE:FACTORY; repeatable.",
        ),
    ] = None,
    amp: Annotated[bool, _row("--amp", help="Add rows in mixed precision.")] = False,
    compile: Annotated[bool, _row("--compile", help="Add rows under torch.compile.")] = False,
    compile_mode: Annotated[
        str | None, _row(help="Mode of torch.compile; implies --compile.")
    ] = None,
    variant: Annotated[
        list[str] | None,
        _row(help="Add a row, e.g. bf16+channels_last or num_workers=4; repeatable."),
    ] = None,
    sweep: Annotated[
        list[str] | None, _row(help="NAME=V1,V2,…: a row per value; repeatable.")
    ] = None,
    preset: Annotated[
        str | None,
        _row(help="story: the thirty-minute case, as far as it fits here, and its advice; 10 min."),
    ] = None,
    training: Training,
    time_budget: Annotated[
        float | None, options.time(help="Seconds in all; 120, or 60 a row.")
    ] = None,
    generations: Annotated[
        int | None, options.time(help="Pin how often all processes are replaced.")
    ] = None,
    steps: Annotated[int | None, options.time(help="Pin the steps of a block.")] = None,
    full_epoch: Annotated[
        bool, options.time("--full-epoch", help="Run real epochs beside the forecast.")
    ] = False,
    seed: options.Seed = 0,
    timeout: options.Timeout = None,
    sequential: Annotated[
        bool, options.time("--sequential", help="One process at a time.")
    ] = False,
    resume: options.Resume = None,
    json: options.Json = None,
) -> int:
    """Time whole training steps under variants: epoch time, memory, speed-up with its interval.

    Without flags: convnext and baseline in FP32 and mixed precision. `--arch convnext --amp` is two rows.
    """
    began = monotonic()
    from perfkit.cli.measure import measure
    from perfkit.cli.output import check_json_target
    from perfkit.cli.progress import Progress
    from perfkit.study.bench.begin import begin, reopen
    from perfkit.study.bench.request import BenchRequest

    request = BenchRequest(
        command=options.command_line(),
        archs=tuple(arch or ()),
        amp=amp,
        compile=compile,
        compile_mode=compile_mode,
        variants=tuple(variant or ()),
        sweeps=tuple(sweep or ()),
        preset=preset,
        settings=training.settings(),
        full_epoch=full_epoch,
        budget_s=time_budget,
        generations=generations,
        steps=steps,
        seed=seed,
        sequential=sequential,
        timeout_s=timeout,
    )
    check_json_target(json)
    with Progress(None) as progress:
        prepared = begin(request, progress) if resume is None else reopen(request, resume)
    return measure(prepared, timeout, began, json)
