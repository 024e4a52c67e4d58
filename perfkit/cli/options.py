"""Flags that more than one command has: those that shape a training process once, as `Training`."""

from __future__ import annotations

import functools
import inspect
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from perfkit import units
from perfkit.errors import UsageError
from perfkit.settings import FLAGGED

if TYPE_CHECKING:
    from perfkit.study.request import TrainingSettings


def in_panel(title: str) -> Callable[..., Any]:
    """Return `typer.Option` for the flags of one panel of the help."""
    return functools.partial(typer.Option, rich_help_panel=title)


time = in_panel("Time")
_setting = in_panel("Settings of the training")

Seed = Annotated[int, time()]
Timeout = Annotated[float | None, time(help="Seconds one process may run in all.")]
Resume = Annotated[str | None, time(help="Go on with a study: its folder, or latest.")]
Json = Annotated[
    str | None,
    typer.Option(help="Write the Document to a file; - is stdout.", rich_help_panel="Output"),
]


@dataclass(frozen=True, kw_only=True)
class Training:
    """Flags that shape a training process, as they were typed; None where one was not given."""

    device: Annotated[str | None, _setting(help="cpu, cuda, cuda:1, mps; the best there is.")] = (
        None
    )
    data: Annotated[str | None, _setting(help="jpeg (generated), folder:PATH or memory.")] = None
    batch_size: Annotated[
        str | None, _setting(metavar="<int|max>", help="max finds the largest that fits.")
    ] = None
    memory_limit: Annotated[
        str | None, _setting(metavar="<size>", help="Memory a process may use, e.g. 8GiB.")
    ] = None
    image_size: Annotated[int | None, _setting()] = None
    num_samples: Annotated[int | None, _setting(help="Samples of an epoch.")] = None
    num_workers: Annotated[int | None, _setting()] = None
    prefetch_factor: Annotated[int | None, _setting()] = None
    pin_memory: Annotated[bool | None, _setting("--pin-memory/--no-pin-memory")] = None
    persistent_workers: Annotated[
        bool | None, _setting("--persistent-workers/--no-persistent-workers")
    ] = None
    base_channels: Annotated[int | None, _setting()] = None
    num_blocks: Annotated[int | None, _setting(help="Blocks per stage.")] = None
    learning_rate: Annotated[float | None, _setting()] = None
    metrics_every: Annotated[int | None, _setting(help="Epochs; 0 never.")] = None
    viz_every: Annotated[int | None, _setting(help="Epochs; 0 never.")] = None
    set_: Annotated[
        list[str] | None,
        _setting(
            "--set", metavar="<name=value>", help="A setting of the workload's own; repeatable."
        ),
    ] = None
    epochs: Annotated[int | None, _setting(help="Epochs that one-time costs are spread over.")] = (
        None
    )
    threads: Annotated[int | None, _setting(help="Torch threads of the trainer.")] = None

    def settings(self) -> TrainingSettings:
        """Return what they ask for.

        Raises:
            UsageError: a size or a number that is none, a workload's setting without a value, or set twice.
        """
        from perfkit.study.request import TrainingSettings

        return TrainingSettings(
            device=self.device,
            batch_size=self._batch_size(),
            largest_batch=self.batch_size == "max",
            memory_limit_bytes=self._memory_limit_bytes(),
            num_samples=self.num_samples,
            num_workers=self.num_workers,
            prefetch_factor=self.prefetch_factor,
            pin_memory=self.pin_memory,
            persistent_workers=self.persistent_workers,
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            num_threads=self.threads,
            workload=self._of_workload(),
        )

    def _batch_size(self) -> int | None:
        if self.batch_size in (None, "max"):
            return None
        try:
            return int(str(self.batch_size))
        except ValueError as error:
            problem = f"is {self.batch_size!r}: it should be a whole number, or max"
            raise UsageError(problem, field="--batch-size") from error

    def _memory_limit_bytes(self) -> int | None:
        try:
            return None if self.memory_limit is None else units.parse_size(self.memory_limit)
        except ValueError as error:
            hint = "for example 8GiB or 500MB"
            raise UsageError(str(error), field="--memory-limit", hint=hint) from error

    def _of_workload(self) -> dict[str, str]:
        """The workload's own settings by name, as text."""
        flagged = {name: getattr(self, name) for name in FLAGGED}
        found = {name: str(value) for name, value in flagged.items() if value is not None}
        for text in self.set_ or ():
            name, equals, value = text.partition("=")
            name = name.strip()
            if not name or not equals:
                raise UsageError(f"{text}: it should be NAME=VALUE", field="--set")
            if name in found:
                raise UsageError(f"{text}: {name} is set twice", field="--set")
            found[name] = value
        return found


def with_training(command: Callable[..., int]) -> Callable[..., int]:
    """Let a command that takes `training: Training` have its flags in that place."""
    hints = get_type_hints(Training, include_extras=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    flags = [
        inspect.Parameter(f.name, kind, annotation=hints[f.name], default=f.default)
        for f in fields(Training)
    ]
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        parameters += flags if parameter.annotation is Training else [parameter]

    @functools.wraps(command)
    def with_flags(**given: Any) -> int:
        training = Training(**{flag.name: given.pop(flag.name) for flag in flags})
        return command(training=training, **given)

    # what typer reads a command's flags from
    with_flags.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return with_flags


def command_line() -> str:
    """Return the command as it was typed."""
    return shlex.join(["perfkit", *sys.argv[1:]])
