"""Trainings whose input is planted: what the loader costs, and how, is known by construction.

`--arch benchmarks/plugins/workloads/witnesses.py:NAME`, or as `benchmarks/witnesses.py` runs them:

    alone         nothing to load; the trainer has a core for itself
    contending    workers compute and are never late: they take cores from the trainer
    many_tensors  batches of many small tensors are ready, and costly to hand over
    sleeping      every sample is late by 20 ms, without computing
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from perfkit.config import RunConfig
from perfkit.training.workload import Workload

WIDTH = 512
SLEEP_S = 0.02
DECODE_S = 0.0006
"""CPU seconds that a sample of `contending` takes its worker."""
FIELDS = 7


class Samples(Dataset[Any]):
    """Vectors with a class, and what each costs its worker."""

    def __init__(self, size: int, *, cpu_s: float = 0.0, sleep_s: float = 0.0) -> None:
        self.size, self.cpu_s, self.sleep_s = size, cpu_s, sleep_s

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if self.sleep_s:
            time.sleep(self.sleep_s)
        end = time.thread_time() + self.cpu_s
        while time.thread_time() < end:
            # like a decoder, it lets go of the interpreter's lock
            torch.full((20_000,), 0.5).sin_()
        return torch.full((WIDTH,), index / self.size), index % 10


class Scenes(Samples):
    """An image and a dict of small tensors a sample, as detection has them."""

    def __getitem__(self, index: int) -> Any:
        image, label = super().__getitem__(index)
        return image, {f"field{n}": torch.full((3,), label) for n in range(FIELDS)}


def _listed(samples: list[Any]) -> Any:
    return torch.stack([image for image, _ in samples]), [target for _, target in samples]


def _loss_of_listed(outputs: Tensor, targets: list[dict[str, Tensor]]) -> Tensor:
    labels = torch.stack([target["field0"][0] for target in targets])
    return nn.functional.cross_entropy(outputs, labels)


def _workload(
    config: RunConfig, dataset: Dataset[Any], *, layers: int, loss: Any = None, collate: Any = None
) -> Workload:
    blocks = [part for _ in range(layers) for part in (nn.Linear(WIDTH, WIDTH), nn.ReLU())]
    return Workload(
        model=nn.Sequential(*blocks, nn.Linear(WIDTH, 10)),
        loss=loss or nn.CrossEntropyLoss(),
        optimizer=partial(torch.optim.SGD, lr=config.learning_rate),
        dataset=dataset,
        collate=collate,
    )


def alone(config: RunConfig) -> Workload:
    return _workload(config, Samples(config.num_samples), layers=12)


def contending(config: RunConfig) -> Workload:
    return _workload(config, Samples(config.num_samples, cpu_s=DECODE_S), layers=12)


def many_tensors(config: RunConfig) -> Workload:
    data = Scenes(config.num_samples)
    return _workload(config, data, layers=1, loss=_loss_of_listed, collate=_listed)


def sleeping(config: RunConfig) -> Workload:
    return _workload(config, Samples(config.num_samples, sleep_s=SLEEP_S), layers=2)
