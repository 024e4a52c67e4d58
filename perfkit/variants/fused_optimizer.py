"""Fused optimizer: one kernel updates many parameters, where the default launches several."""

from __future__ import annotations

import inspect
from typing import Any

from perfkit.errors import PerfkitError

STAGE = "optimizer"


def apply(training: Any, value: str | None) -> None:
    """Have every optimizer update with `fused=True`.

    Raises:
        PerfkitError: a class has no fused form, or none for these parameters or settings.
    """
    for optimizer in training.optimizers:
        _fuse(optimizer)


def read_back(training: Any) -> dict[str, str]:
    groups = [group for optimizer in training.optimizers for group in optimizer.param_groups]
    fused = [bool(group.get("fused")) for group in groups]
    return {"optimizer": "fused" if all(fused) else "partly fused" if any(fused) else "not fused"}


def _fuse(optimizer: Any) -> None:
    """Give an optimizer what the same one made with `fused=True` has.

    It stays the object that it was: hooks (a moving average of the weights), schedulers and whoever else
    holds it go on as before.
    """
    kind = type(optimizer)
    accepted = inspect.signature(kind).parameters
    if "fused" not in accepted:
        raise PerfkitError(
            f"fused_optimizer: {kind.__name__} has no fused form",
            hint="Adam, AdamW and SGD have one",
        )
    if optimizer.state:
        raise PerfkitError(
            f"fused_optimizer: the workload's {kind.__name__} has made steps already",
            hint="make it anew, without a step, in the workload's `optimizer`",
        )
    how = {"fused": True, "foreach": None}  # torch refuses both at once
    groups = [{**group, **how} for group in optimizer.param_groups]
    settings = {name: v for name, v in {**optimizer.defaults, **how}.items() if name in accepted}
    try:
        made = kind(groups, **settings)
    except (RuntimeError, ValueError, TypeError) as error:
        raise PerfkitError(
            f"fused_optimizer: {kind.__name__} cannot be fused here: {error}"
        ) from error
    optimizer.defaults.update(how)
    for group in optimizer.param_groups:
        group.update(how)
    # what only a fused one keeps about itself
    for name in vars(made).keys() - vars(optimizer).keys():
        setattr(optimizer, name, getattr(made, name))
