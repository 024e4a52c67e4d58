"""Fills a disk in a step, or in its evaluation, once a file is there: the environment says which."""

from __future__ import annotations

import errno
import glob
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.training.workload import Workload

WHERE = Path(os.environ.get("PERFKIT_TEST_FILLER", "filler"))
AFTER = os.environ.get("PERFKIT_TEST_FILL_AFTER", "/")


def fill(at: str) -> None:
    if os.environ.get("PERFKIT_TEST_FILL_IN") != at or not glob.glob(AFTER):
        return
    with WHERE.open("ab", buffering=0) as filler:
        for size in (65536, 4096, 1):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


class Planted(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fill("step")
        return super().forward(x)


def evaluate(epoch: Any) -> dict[str, Any]:
    fill("evaluation")
    return {}


def factory(config: RunConfig) -> Workload:
    tiny = discovery.load("workloads", "tiny")
    workload: Workload = tiny.factory(config, model=Planted(8, 4), evaluate=evaluate)
    return workload
