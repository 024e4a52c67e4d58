"""Fused optimizer: one kernel updates many parameters, where the default launches several."""

from __future__ import annotations

import inspect
from typing import Any

from perfkit.errors import PerfkitError

STAGE = "optimizer"


def apply(training: Any, value: str | None) -> None:
    """Rebuild the optimizer with `fused=True`: same class, parameter groups, hyperparameters.

    Raises:
        PerfkitError: its class has no fused form, or none for these parameters or settings.
    """
    optimizer = training.optimizer
    kind = type(optimizer)
    accepted = inspect.signature(kind).parameters
    if "fused" not in accepted:
        raise PerfkitError(
            f"fused_optimizer: {kind.__name__} has no fused form",
            hint="Adam, AdamW and SGD have one",
        )
    how = {"fused": True, "foreach": None}  # torch refuses both at once
    groups = [{**group, **how} for group in optimizer.param_groups]
    settings = {name: v for name, v in {**optimizer.defaults, **how}.items() if name in accepted}
    try:
        training.optimizer = kind(groups, **settings)
    except (RuntimeError, ValueError, TypeError) as error:
        raise PerfkitError(
            f"fused_optimizer: {kind.__name__} cannot be fused here: {error}"
        ) from error


def read_back(training: Any) -> dict[str, str]:
    fused = [bool(group.get("fused")) for group in training.optimizer.param_groups]
    return {"optimizer": "fused" if all(fused) else "partly fused" if any(fused) else "not fused"}
