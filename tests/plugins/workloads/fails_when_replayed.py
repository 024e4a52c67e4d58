"""Fails when it is given a batch for the second time; PERFKIT_TEST_FAULT says of what: memory or worker."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import torch
from torch import nn

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.training.workload import Workload


class Planted(nn.Linear):
    def __init__(self) -> None:
        super().__init__(8, 4)
        self.seen: set[float] = set()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch = x.double().sum().item()
        if batch in self.seen:
            fail()
        self.seen.add(batch)
        return super().forward(x)


def fail() -> None:
    if os.environ["PERFKIT_TEST_FAULT"] == "memory":
        torch.empty(2**50)
    for worker in multiprocessing.active_children():
        os.kill(worker.pid or 0, signal.SIGKILL)
    # torch's handler of SIGCHLD raises in here
    time.sleep(60)


def factory(config: RunConfig) -> Workload:
    workload: Workload = discovery.load("workloads", "tiny").factory(config, model=Planted())
    return workload
