"""`perfkit diagnose`: what holds a training back, how we know, and what each remedy is worth."""

from __future__ import annotations

from time import monotonic
from typing import Annotated

import typer

from perfkit.cli import options
from perfkit.cli.options import Training
from perfkit.cli.run import attach
from perfkit.errors import UsageError

_what = options.in_panel("Training")
_verify = options.in_panel("What else to measure")


@options.with_training
def diagnose(
    context: typer.Context,
    *,
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
        _what(
            "--arch",
            "--workload",
            help="Workload: convnext, baseline, timm:NAME, FILE.py:FACTORY, MODULE:FACTORY.",
        ),
    ] = "convnext",
    variant: Annotated[
        str | None, _what(help="How it runs, e.g. bf16+channels_last; fp32.")
    ] = None,
    amp: Annotated[bool, _what("--amp", help="It runs in mixed precision.")] = False,
    compile: Annotated[bool, _what("--compile", help="It runs under torch.compile.")] = False,
    compile_mode: Annotated[
        str | None, _what(help="Mode of torch.compile; implies --compile.")
    ] = None,
    verify: Annotated[
        bool,
        _verify(
            "--verify",
            help="Run the best remedies, then those together: measured beside predicted.",
        ),
    ] = False,
    verify_top: Annotated[
        int | None,
        _verify(
            metavar="<n>",
            help="So many of them; implies --verify, 3. Those that change what is trained come last.",
        ),
    ] = None,
    operators: Annotated[
        bool,
        _verify(
            "--operators",
            help="Name the file and line of the costliest operators; takes some seconds.",
        ),
    ] = False,
    training: Training,
    time_budget: Annotated[
        float | None,
        options.time(help="Seconds in all; 60, and to verify 120, or 60 a row, more."),
    ] = None,
    seed: options.Seed = 0,
    timeout: options.Timeout = None,
    resume: options.Resume = None,
    json: options.Json = None,
) -> int:
    """Say what holds a training back: waiting for data, contention, periodic work or computing itself.

    One process is timed for a minute with its batches as they come, with batches that are there, and with
    batches that are there while the loader goes on. Exit codes: 0; 1 it, or a remedy that was run, failed;
    4 inconclusive. With COMMAND it is perfkit run: your own training, as it is.
    """
    if command:
        return _attach(context, command, json)
    began = monotonic()
    from perfkit.cli.measure import measure
    from perfkit.cli.output import check_json_target
    from perfkit.cli.progress import Progress
    from perfkit.study.diagnose.begin import begin, reopen, takes
    from perfkit.study.diagnose.request import DiagnoseRequest
    from perfkit.study.diagnose.verify import DEFAULT
    from perfkit.study.request import at_least

    at_least("--verify-top", verify_top, 1)
    request = DiagnoseRequest(
        command=options.command_line(),
        arch=arch,
        variant=variant,
        amp=amp,
        compile=compile,
        compile_mode=compile_mode,
        settings=training.settings(),
        budget_s=time_budget,
        seed=seed,
        timeout_s=timeout,
        verify=verify_top or (DEFAULT if verify else 0),
        operators=operators,
    )
    check_json_target(json)
    with Progress(None) as progress:
        prepared = begin(request, progress) if resume is None else reopen(request, resume)
        if resume is None:
            progress.say(takes(request))
    return measure(prepared, timeout, began, json)


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
                f"has no meaning beside a command: {command[0]} is run as it is",
                field=flag,
                hint=f"leave {flag} out; a flag of the command's own goes behind it",
            )
    return attach(RunRequest(command=tuple(command)), json)
