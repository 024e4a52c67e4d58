"""Its loader worker is killed in a step, which PERFKIT_TEST_LOSS lets pass, replaces or swallows."""

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
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        how = os.environ["PERFKIT_TEST_LOSS"]
        try:
            for worker in multiprocessing.active_children():
                os.kill(worker.pid or 0, signal.SIGKILL)
            # torch's handler of SIGCHLD raises in here
            time.sleep(60)
        except RuntimeError:
            if how == "raises":
                raise
            if how == "replaces":
                raise ValueError("planted: a bad batch") from None
        raise ConnectionResetError("planted: nothing of a worker in it")


def factory(config: RunConfig) -> Workload:
    workload: Workload = discovery.load("workloads", "tiny").factory(config, model=Planted(8, 4))
    return workload
