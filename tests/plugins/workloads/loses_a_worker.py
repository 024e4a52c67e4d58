"""A loader worker is killed while it reads."""

from __future__ import annotations

import os
import signal

import torch
from torch.utils.data import Dataset, get_worker_info

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.training.workload import Workload


class Deadly(Dataset[tuple[torch.Tensor, int]]):
    def __init__(self, size: int) -> None:
        self.size = size
        self.reads = 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        self.reads += 1
        if get_worker_info() is not None and self.reads > 100:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(8), 0


def factory(config: RunConfig) -> Workload:
    tiny = discovery.load("workloads", "tiny")
    workload: Workload = tiny.factory(config, dataset=Deadly(config.num_samples))
    return workload
