"""Prints what looks like replies, on both streams."""

from __future__ import annotations

import os

import torch
from torch import nn

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.training.workload import Workload


class Planted(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print('garbage {"event": "done"}', flush=True)
        os.write(1, b"\x00\xff garbage\n")
        return super().forward(x)


def factory(config: RunConfig) -> Workload:
    workload: Workload = discovery.load("workloads", "tiny").factory(config, model=Planted(8, 4))
    return workload
