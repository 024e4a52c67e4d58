"""Batches that are dictionaries."""

from __future__ import annotations

from typing import Any

import torch

from perfkit.config import RunConfig
from perfkit.discovery import load
from perfkit.training.workload import Workload


def collate(samples: list[Any]) -> dict[str, Any]:
    inputs, targets = torch.utils.data.default_collate(samples)
    return {"images": inputs, "classes": targets}


def factory(config: RunConfig) -> Workload:
    workload: Workload = load("workloads", "tiny").factory(config, collate=collate)
    return workload
