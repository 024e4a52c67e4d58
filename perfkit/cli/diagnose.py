"""`perfkit diagnose`: what holds a training back, how we know, and what each remedy is worth."""

from __future__ import annotations

import shlex
import sys
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.cli import options
from perfkit.cli.run import attach
from perfkit.errors import UsageError

if TYPE_CHECKING:
    from perfkit.study.diagnose.request import DiagnoseRequest

ARCH = "convnext"
_WHAT, _VERIFY = "Training", "What else to measure"


def diagnose(
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND...",
            help="Your own training, as perfkit run takes it, e.g. python train.py.",
            show_default=False,
        ),
    ] = None,
    arch: Annotated[
        str,
        typer.Option(
            "--arch",
            "--workload",
            help="Workload: convnext, baseline, timm:NAME, FILE.py:FACTORY, MODULE:FACTORY.",
            rich_help_panel=_WHAT,
        ),
    ] = ARCH,
    variant: Annotated[
        str | None,
        typer.Option(help="How it runs, e.g. bf16+channels_last; fp32.", rich_help_panel=_WHAT),
    ] = None,
    amp: Annotated[
        bool, typer.Option("--amp", help="It runs in mixed precision.", rich_help_panel=_WHAT)
    ] = False,
    compile: Annotated[
        bool,
        typer.Option("--compile", help="It runs under torch.compile.", rich_help_panel=_WHAT),
    ] = False,
    compile_mode: Annotated[
        str | None,
        typer.Option(help="Mode of torch.compile; implies --compile.", rich_help_panel=_WHAT),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Run the best remedies, then those together: measured beside predicted.",
            rich_help_panel=_VERIFY,
        ),
    ] = False,
    verify_top: Annotated[
        int | None,
        typer.Option(
            metavar="<n>",
            help="So many of them; implies --verify, 3. Those that change what is trained come last.",
            rich_help_panel=_VERIFY,
        ),
    ] = None,
    operators: Annotated[
        bool,
        typer.Option(
            "--operators",
            help="Name the file and line of the costliest operators; takes some seconds.",
            rich_help_panel=_VERIFY,
        ),
    ] = False,
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
        typer.Option(
            help="Seconds in all; 60, and to verify 120, or 60 a row, more.",
            rich_help_panel=options.TIME,
        ),
    ] = None,
    seed: options.Seed = 0,
    timeout: options.Timeout = None,
    resume: Annotated[
        str | None,
        typer.Option(
            help="Go on with a study: its folder, or latest.", rich_help_panel=options.TIME
        ),
    ] = None,
    json: options.Json = None,
) -> int:
    """Say what holds a training back: waiting for data, contention, periodic work or computing itself.

    One process is timed for a minute with its batches as they come, with batches that are there, and with
    batches that are there while the loader goes on. Exit codes: 0; 1 it, or a remedy that was run, failed;
    4 inconclusive. With COMMAND it is perfkit run: your own training, as it is.
    """
    if command:
        return _attach(context, command, json)
    given = options.settings(locals())
    began = monotonic()
    for flag, value, least in (
        ("--verify-top", verify_top, 1),
        ("--time-budget", time_budget, 1),
        ("--timeout", timeout, 1),
        ("--seed", seed, 0),
    ):
        options.check_least(flag, value, least)
    from perfkit.cli.measure import LEAST_TIMEOUT_S, measure
    from perfkit.cli.output import check_json_target
    from perfkit.cli.progress import Progress
    from perfkit.study.diagnose.begin import begin, budgets, resume_diagnosis
    from perfkit.study.diagnose.request import DiagnoseRequest
    from perfkit.study.diagnose.verify import DEFAULT

    request = DiagnoseRequest(
        command=shlex.join(["perfkit", *sys.argv[1:]]),
        arch=arch,
        variant=variant,
        amp=amp,
        compile=compile,
        compile_mode=compile_mode,
        device=device,
        settings=given,
        largest_batch=batch_size == "max",
        budget_s=time_budget,
        seed=seed,
        verify=verify_top or (DEFAULT if verify else 0),
        operators=operators,
    )
    check_json_target(json)
    if resume is not None:
        _refuse_beside_resume(request)
    with Progress(None) as progress:
        prepared = (
            begin(request, progress, timeout_s=timeout or LEAST_TIMEOUT_S)
            if resume is None
            else resume_diagnosis(resume, time_budget)
        )
        if resume is None:
            in_all_s, verify_s = budgets(request.verify, time_budget)
            part = f", {verify_s:.0f} s of them to run remedies" if verify_s else ""
            progress.say(f"it takes {in_all_s:.0f} s at most{part}")
    return measure(prepared, began, timeout, json, resumed=resume is not None)


def _attach(context: typer.Context, command: list[str], json: str | None) -> int:
    """Do what `perfkit run` does; nothing is measured there that flags of ours could set.

    Raises:
        UsageError: there are flags beside the command.
    """
    from perfkit.study.attached.request import RunRequest

    for parameter in context.command.params:
        name = str(parameter.name)
        source = context.get_parameter_source(name)
        if name not in ("command", "json") and source is not None and source.name == "COMMANDLINE":
            flag = parameter.opts[0]
            raise UsageError(
                f"{flag} has no meaning beside a command: {command[0]} is run as it is",
                hint=f"leave {flag} out; a flag of the command's own goes behind it",
            )
    return attach(RunRequest(command=tuple(command)), json)


def _refuse_beside_resume(request: DiagnoseRequest) -> None:
    switches = (request.amp, request.compile, request.largest_batch, request.operators)
    numbers = (request.seed, request.verify)
    named = (request.variant, request.compile_mode, request.device, *request.settings.values())
    if (
        request.arch != ARCH
        or any(switches)
        or any(numbers)
        or any(value is not None for value in named)
    ):
        raise UsageError(
            "--resume goes on with the settings of its study: no others can be given",
            hint="beside it only --time-budget, --timeout and --json apply",
        )
