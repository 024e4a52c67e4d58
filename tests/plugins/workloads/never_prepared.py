"""Its prepare never ends, and says nothing."""

from __future__ import annotations

import time
from typing import Any

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.training.workload import Workload


def prepare(config: RunConfig, progress: Any) -> str:
    time.sleep(10_000)
    return ""


def factory(config: RunConfig) -> Workload:
    workload: Workload = discovery.load("workloads", "tiny").factory(config)
    return workload
