"""Asks for more memory than there is."""

from __future__ import annotations

import torch
from torch import nn

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.training.workload import Workload


class Planted(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.empty(2**50)
        return super().forward(x)


def factory(config: RunConfig) -> Workload:
    workload: Workload = discovery.load("workloads", "tiny").factory(config, model=Planted(8, 4))
    return workload
