"""Layers that learn their size in the first forward: they have no weights to copy or update before it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from perfkit.training.batches import split
from perfkit.training.workload import Workload


def is_lazy_model(model: nn.Module) -> bool:
    """Whether some of its parameters or buffers have no shape yet."""
    return any(map(is_lazy, (*model.parameters(), *model.buffers())))


def initialise(workload: Workload, batch: Any) -> None:
    """Run one forward, so that every layer knows its size; model and batch are on one device."""
    with torch.no_grad():
        if workload.step is not None:
            workload.step(workload.model, batch)
        else:
            workload.model(split(batch)[0])
