"""`perfkit bench`: time whole training steps of workloads under variants, and compare them."""

from __future__ import annotations

import shlex
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, UsageError

if TYPE_CHECKING:
    from perfkit.document import Document
    from perfkit.study.start import BenchRequest, Prepared

_ROWS, _ALL, _TIME, _OUT = "Rows", "Settings of all rows", "Time", "Output"


def bench(
    arch: Annotated[
        list[str] | None,
        typer.Option("--arch", "--workload", help="Workload; repeatable.", rich_help_panel=_ROWS),
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
    device: Annotated[
        str | None,
        typer.Option(help="cpu, cuda, cuda:1, mps; the best there is.", rich_help_panel=_ALL),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="jpeg (generated) or folder:PATH.", rich_help_panel=_ALL),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(rich_help_panel=_ALL)] = None,
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
    began = time.monotonic()
    for name, value, least in (
        ("--time-budget", time_budget, 1),
        ("--generations", generations, 1),
        ("--steps", steps, 1),
        ("--timeout", timeout, 1),
        ("--seed", seed, 0),
    ):
        if value is not None and value < least:
            raise UsageError(f"{name} is {value:g}: it should be at least {least}")
    from perfkit.study.start import BenchRequest

    asked_rows = bool(arch or amp or compile or compile_mode or variant)
    texts = _variants(bool(arch), amp, compile, compile_mode, variant or [])
    request = BenchRequest(
        command=shlex.join(["perfkit", *sys.argv[1:]]),
        archs=tuple(dict.fromkeys(arch or ("convnext", "baseline"))),
        variants=texts,
        device=device,
        settings={
            "data": data,
            "batch_size": batch_size,
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
        },
        budget_s=time_budget,
        generations=generations,
        steps=steps,
        seed=seed,
        sequential=sequential,
    )
    if resume is not None:
        _refuse_beside_resume(request, asked_rows)
    return _run(request, resume, began, timeout, json)


def _refuse_beside_resume(request: BenchRequest, asked_rows: bool) -> None:
    pinned = (request.device, request.generations, request.steps, *request.settings.values())
    if asked_rows or request.sequential or request.seed or any(x is not None for x in pinned):
        raise UsageError(
            "--resume goes on with the rows and settings of its study: no others can be given",
            hint="beside it only --time-budget, --timeout and --json apply",
        )


def _variants(
    arch_named: bool, amp: bool, compile: bool, mode: str | None, extra: list[str]
) -> tuple[str, ...]:
    """The variants of the rows: precisions × {eager, compiled}, then what was asked for by name."""
    if not (arch_named or amp or compile or mode or extra):
        amp = True
    precisions = ["fp32", "amp"] if amp else ["fp32"]
    texts = list(precisions)
    if compile or mode:
        suffix = "+compile" if mode is None else f"+compile={mode}"
        texts += [precision + suffix for precision in precisions]
    return tuple(texts + extra)


def _run(
    request: BenchRequest,
    resume: str | None,
    began: float,
    timeout: float | None,
    json: str | None,
) -> int:
    from perfkit.cli.output import check_json_target
    from perfkit.cli.progress import Progress
    from perfkit.study import start

    check_json_target(json)
    with Progress(None) as progress:
        if resume is None:
            prepared = start.begin(request, progress)
        else:
            prepared = start.resume(resume, request.budget_s)
    return _measure(prepared, began, timeout, json, resumed=resume is not None)


def _measure(
    prepared: Prepared, began: float, timeout: float | None, json: str | None, *, resumed: bool
) -> int:
    from perfkit import document as documents
    from perfkit.cli.output import give
    from perfkit.cli.progress import Progress
    from perfkit.cli.signals import interruptible
    from perfkit.engine.executor import Executor
    from perfkit.study.observed import averages
    from perfkit.study.session import Session

    folder, plan = prepared.folder, prepared.plan
    budget_s = None if plan.generations is not None else prepared.frame.budget_s
    limit_s = timeout if timeout is not None else max(300.0, prepared.frame.budget_s)
    with (
        interruptible(),
        Progress(budget_s) as progress,
        Executor(folder, timeout_s=limit_s, emit=progress) as executor,
    ):
        if not resumed:
            progress.say(prepared.frame.sizes)
        if resumed:
            executor.drop_unfinished()
        session = Session(
            plan=plan,
            executor=executor,
            frame=prepared.frame,
            clock=time.monotonic,
            began_s=began,
            save=lambda document: documents.write(document, folder.document),
            averages=lambda results: averages(plan.rows, results, executor.averages),
            results=executor.finished(),
        )
        document = session.run()
    give(document, json)
    sys.stderr.write(f"stored in {folder.path}\n")
    if session.interrupted:
        sys.stderr.write(f"interrupted; go on with: perfkit bench --resume {folder.path}\n")
        return EXIT_INTERRUPTED
    return _exit_code(document)


def _exit_code(document: Document) -> int:
    good = ("ok", "unsupported")
    return EXIT_OK if all(row.status in good for row in document.rows) else EXIT_FAILED
