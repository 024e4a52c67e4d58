"""A linear model on random vectors: the smallest training there is."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.data import TensorDataset

from perfkit.config import RunConfig
from perfkit.training.workload import Workload


def factory(config: RunConfig, **changes: Any) -> Workload:
    samples = torch.randn(config.num_samples, 8)
    parts: dict[str, Any] = {
        "model": nn.Linear(8, 4),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": partial(torch.optim.SGD, lr=config.learning_rate),
        "dataset": TensorDataset(samples, torch.zeros(config.num_samples, dtype=torch.long)),
    }
    return Workload(**(parts | changes))
