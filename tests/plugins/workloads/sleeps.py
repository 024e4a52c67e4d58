"""A linear model on samples that each take a known time to read."""

from __future__ import annotations

import time

import torch
from torch.utils.data import Dataset

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.training.workload import Workload

SAMPLE_S = 0.0005


class Slow(Dataset[tuple[torch.Tensor, int]]):
    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        time.sleep(SAMPLE_S)
        return torch.full((8,), float(index)), index % 4


def factory(config: RunConfig) -> Workload:
    tiny = discovery.load("workloads", "tiny")
    workload: Workload = tiny.factory(config, dataset=Slow(config.num_samples))
    return workload
