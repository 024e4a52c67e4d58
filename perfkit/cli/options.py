"""Flags that shape a training process, shared by the commands that start one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from perfkit import units
from perfkit.errors import UsageError

SETTINGS, TIME, OUTPUT = "Settings of the training", "Time", "Output"

Device = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, cuda:1, mps; the best there is.", rich_help_panel=SETTINGS),
]
Data = Annotated[
    str | None,
    typer.Option(help="jpeg (generated), folder:PATH or memory.", rich_help_panel=SETTINGS),
]
BatchSize = Annotated[
    str | None,
    typer.Option(
        metavar="<int|max>", help="max finds the largest that fits.", rich_help_panel=SETTINGS
    ),
]
MemoryLimit = Annotated[
    str | None,
    typer.Option(
        metavar="<size>", help="Memory a process may use, e.g. 8GiB.", rich_help_panel=SETTINGS
    ),
]
Whole = Annotated[int | None, typer.Option(rich_help_panel=SETTINGS)]
NumSamples = Annotated[
    int | None, typer.Option(help="Samples of an epoch.", rich_help_panel=SETTINGS)
]
PinMemory = Annotated[
    bool | None, typer.Option("--pin-memory/--no-pin-memory", rich_help_panel=SETTINGS)
]
PersistentWorkers = Annotated[
    bool | None,
    typer.Option("--persistent-workers/--no-persistent-workers", rich_help_panel=SETTINGS),
]
NumBlocks = Annotated[int | None, typer.Option(help="Blocks per stage.", rich_help_panel=SETTINGS)]
LearningRate = Annotated[float | None, typer.Option(rich_help_panel=SETTINGS)]
Every = Annotated[int | None, typer.Option(help="Epochs; 0 never.", rich_help_panel=SETTINGS)]
Epochs = Annotated[
    int | None,
    typer.Option(help="Epochs that one-time costs are spread over.", rich_help_panel=SETTINGS),
]
Threads = Annotated[
    int | None, typer.Option(help="Torch threads of the trainer.", rich_help_panel=SETTINGS)
]
Seed = Annotated[int, typer.Option(rich_help_panel=TIME)]
Timeout = Annotated[
    float | None,
    typer.Option(help="Seconds one process may run in all.", rich_help_panel=TIME),
]
Json = Annotated[
    str | None,
    typer.Option(help="Write the Document to a file; - is stdout.", rich_help_panel=OUTPUT),
]

_SETTINGS = (
    "data", "image_size", "num_samples", "num_workers", "prefetch_factor", "pin_memory",
    "persistent_workers", "base_channels", "num_blocks", "learning_rate", "metrics_every", "viz_every",
    "epochs",
)  # fmt: skip


def settings(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the RunConfig fields that a command's flags set; None where a flag was not given.

    Args:
        flags: the command's parameters by name.

    Raises:
        UsageError: a size or a number that is none.
    """
    batch_size, memory_limit = flags["batch_size"], flags["memory_limit"]
    return {
        **{name: flags[name] for name in _SETTINGS},
        "num_threads": flags["threads"],
        "batch_size": None if batch_size in (None, "max") else _whole("--batch-size", batch_size),
        "memory_limit_bytes": None if memory_limit is None else _size(memory_limit),
    }


def check_least(flag: str, value: float | None, least: float) -> None:
    """Refuse a number that is too small, or infinite.

    Raises:
        UsageError: it is.
    """
    if value is not None and not least <= value < math.inf:
        raise UsageError(f"{flag} is {value:g}: it should be at least {least:g}, and finite")


def _whole(flag: str, value: str | int) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise UsageError(f"{flag} is {value!r}: it should be a whole number, or max") from error


def _size(text: str) -> int:
    try:
        return units.parse_size(text)
    except ValueError as error:
        raise UsageError(f"--memory-limit: {error}", hint="for example 8GiB or 500MB") from error
