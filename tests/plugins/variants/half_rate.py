"""A stranger's variant: half the learning rate, by one file."""

from __future__ import annotations

from typing import Any

STAGE = "optimizer"


def apply(training: Any, value: str | None) -> None:
    for group in training.optimizer.param_groups:
        group["lr"] /= 2


def read_back(training: Any) -> dict[str, str]:
    return {"half_rate": str(training.optimizer.param_groups[0]["lr"])}
