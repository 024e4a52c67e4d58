"""`perfkit diagnose`: what holds a training back, how we know, and what each remedy is worth."""

from __future__ import annotations

import shlex
import sys
from time import monotonic
from typing import Annotated

import typer

from perfkit.cli import options
from perfkit.errors import UsageError

_WHAT = "Training"


def diagnose(
    arch: Annotated[
        str,
        typer.Option(
            "--arch",
            "--workload",
            help="Workload: convnext, baseline, timm:NAME, FILE.py:FACTORY, MODULE:FACTORY.",
            rich_help_panel=_WHAT,
        ),
    ] = "convnext",
    variant: Annotated[
        str,
        typer.Option(help="How it runs, e.g. bf16+channels_last.", rich_help_panel=_WHAT),
    ] = "fp32",
    device: options.Device = None,
    data: options.Data = None,
    batch_size: options.Whole = None,
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
        typer.Option(help="Seconds in all; 60.", rich_help_panel=options.TIME),
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
    batches that are there while the loader goes on. Exit codes: 0; 1 it failed; 4 inconclusive.
    """
    given = options.settings(locals())
    began = monotonic()
    for flag, value, least in (("--time-budget", time_budget, 1), ("--timeout", timeout, 1)):
        options.check_least(flag, value, least)
    options.check_least("--seed", seed, 0)
    from perfkit.cli.measure import LEAST_TIMEOUT_S, measure
    from perfkit.cli.output import check_json_target
    from perfkit.cli.progress import Progress
    from perfkit.study.diagnose.begin import begin, resume_diagnosis
    from perfkit.study.diagnose.request import DiagnoseRequest

    request = DiagnoseRequest(
        command=shlex.join(["perfkit", *sys.argv[1:]]),
        arch=arch,
        variant=variant,
        device=device,
        settings=given,
        budget_s=time_budget,
        seed=seed,
    )
    check_json_target(json)
    asked = (device, *given.values())
    if resume is not None and any(value is not None for value in asked):
        raise UsageError(
            "--resume goes on with the settings of its study: no others can be given",
            hint="beside it only --time-budget, --timeout and --json apply",
        )
    with Progress(None) as progress:
        prepared = (
            begin(request, progress, timeout_s=timeout or LEAST_TIMEOUT_S)
            if resume is None
            else resume_diagnosis(resume, time_budget)
        )
    return measure(prepared, began, timeout, json, resumed=resume is not None)
