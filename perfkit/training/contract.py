"""What a factory has to give: a Workload that can be trained, or a usage error that says what it lacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from torch import nn

from perfkit import variants
from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.settings import Setting, unknown
from perfkit.training.loading import is_stream, length_of
from perfkit.training.workload import Workload

_LOSS = "it should be a function of (outputs, targets) that returns a scalar tensor"
_STEP = "it should be a function of (model, batch) that returns a scalar tensor"
_NEEDED = {
    "model": "it should be a torch.nn.Module",
    "loss": _LOSS,
    "step": _STEP,
    "optimizer": "it should make one from the parameters: partial(torch.optim.AdamW, lr=1e-3)",
}
TAKEN = frozenset(
    {
        *("steps", "partial_batch", "epoch_start", "evaluation"),
        *("step", "batch"),
        *("memory", "losses", "flops_per_sample", "gemm_ceiling_share", "copy_bytes_per_sec"),
        *("full_epoch", "edges", "examine", "quit"),
    }
)
"""Names that periodic work cannot have: parts of an epoch's forecast, of its start (`first_step`), and of
what can be lost."""


def declared(arch: str, module: Any) -> tuple[Setting, ...]:
    """Return the settings that a workload's module declares as its own.

    Raises:
        UsageError: `SETTINGS` holds something else, a name twice, or one that means something already.
    """
    found = getattr(module, "SETTINGS", ())
    if not isinstance(found, (list, tuple)) or not all(isinstance(s, Setting) for s in found):
        raise UsageError(
            f"workload {arch}: its SETTINGS should be a tuple of perfkit.training.workload.Setting",
            hint='for example SETTINGS = (Setting("width", 64, "Units of the hidden layer.", least=1),)',
        )
    taken = {field.name for field in fields(RunConfig)} | set(variants.names())
    for setting in found:
        if setting.name in taken:
            raise UsageError(
                f"workload {arch}: it cannot have a setting named {setting.name}",
                hint="that is another setting or a variant already; choose another name",
            )
        taken.add(setting.name)
    return tuple(found)


def completed(config: RunConfig, module: Any) -> RunConfig:
    """Return a configuration with every setting of its workload in it, those not named at their defaults.

    Raises:
        UsageError: it names a setting that the workload does not have, or a value that it cannot have.
    """
    own = {setting.name: setting for setting in declared(config.arch, module)}
    for name, value in config.workload.items():
        if name not in own:
            raise unknown(config.arch, name, own)
        try:
            own[name].check(value)
        except ValueError as error:
            raise UsageError(f"workload {config.arch}: {error}") from error
    defaults = {name: setting.default for name, setting in own.items()}
    return replace(config, workload={**defaults, **config.workload})


def checked(arch: str, factory: str, workload: Any) -> Workload:
    """Return what a factory gave.

    Raises:
        UsageError: it is no Workload, or one that cannot be trained.
    """
    if not isinstance(workload, Workload):
        raise UsageError(
            f"workload {arch}: {factory} gave a {type(workload).__name__}, not a Workload",
            hint="return perfkit.training.workload.Workload(model=…, loss=…, optimizer=…, dataset=…)",
        )
    if (workload.loss is None) == (workload.step is None):
        has = "neither a loss nor a step" if workload.loss is None else "a loss and a step"
        raise UsageError(
            f"workload {arch}: it has {has}",
            hint="one of: loss(outputs, targets) where a batch is (inputs, targets), step(model, batch)",
        )
    computes = "step" if workload.loss is None else "loss"
    for what, kind in (("model", nn.Module), (computes, Callable), ("optimizer", Callable)):
        part = getattr(workload, what)
        if not isinstance(part, kind):  # type: ignore[arg-type]
            raise UsageError(
                f"workload {arch}: its {what} is a {type(part).__name__}", hint=_NEEDED[what]
            )
    _check_periodic(arch, workload)
    _check_dataset(arch, workload)
    return workload


def _check_periodic(arch: str, workload: Workload) -> None:
    seen: set[str] = set()
    for task in workload.periodic:
        if task.name in TAKEN:
            raise UsageError(
                f"workload {arch}: periodic work cannot be named {task.name!r}",
                hint="that is what a part of an epoch is called already; choose another name",
            )
        if task.name in seen:
            raise UsageError(
                f"workload {arch}: two pieces of periodic work are named {task.name!r}",
                hint="each needs a name of its own: its time is told by it",
            )
        seen.add(task.name)


def _check_dataset(arch: str, workload: Workload) -> None:
    streams = is_stream(workload)
    if workload.length is not None and not streams:
        raise UsageError(
            f"workload {arch}: its length is stated, and its dataset is no IterableDataset",
            hint="leave length out: a map-style dataset has its own",
        )
    try:
        length = length_of(workload)
    except TypeError as error:
        if streams:
            raise UsageError(
                f"workload {arch}: its dataset is an IterableDataset without a length: {error}",
                hint="state the samples of an epoch, Workload(..., length=N), or give the dataset __len__",
            ) from error
        raise UsageError(
            f"workload {arch}: its dataset is not map-style: {error}",
            hint="it should have __len__ and __getitem__, or be an IterableDataset",
        ) from error
    if length < 1:
        raise UsageError(f"workload {arch}: its dataset is empty")
