"""Changes its working directory wherever it can."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.training.workload import Workload


class Wandering(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        os.chdir("/")
        return super().forward(x)


class Wanderers(Dataset[tuple[torch.Tensor, int]]):
    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        os.chdir("/")
        return torch.zeros(8), 0


def factory(config: RunConfig) -> Workload:
    os.chdir("/")
    tiny: Any = discovery.load("workloads", "tiny")
    workload: Workload = tiny.factory(
        config, model=Wandering(8, 4), dataset=Wanderers(config.num_samples)
    )
    return workload
