"""What a factory has to give: a Workload that can be trained, or a usage error that says what it lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.utils.data import IterableDataset

from perfkit.errors import UsageError
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
    try:
        if isinstance(workload.dataset, IterableDataset):
            raise TypeError("it is an IterableDataset")
        length = len(workload.dataset)  # type: ignore[arg-type]
    except TypeError as error:
        raise UsageError(
            f"workload {arch}: its dataset is not map-style: {error}",
            hint="it should have __len__ and __getitem__",
        ) from error
    if length < 1:
        raise UsageError(f"workload {arch}: its dataset is empty")
