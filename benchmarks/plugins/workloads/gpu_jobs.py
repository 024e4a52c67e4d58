"""Training jobs for a GPU, each with one bottleneck planted by construction.

`--arch benchmarks/plugins/workloads/gpu_jobs.py:NAME`; `benchmarks/gpu_check.py --part diagnose` runs them
all. They run on a CPU, too, where most of what is planted does not exist.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from perfkit.config import RunConfig
from perfkit.training.workload import Workload

CLASSES = 10
PIXELS = 64
SMALL, LARGE = 0.25, 4.0


class Images(Dataset[Any]):
    """Whole batches of one image, ready in memory; each batch may take its time to come.

    Args:
        sleep_s: seconds that a batch takes its worker, blocked as on storage.
    """

    def __init__(self, config: RunConfig, pixels: int, sleep_s: float = 0.0) -> None:
        self.size = config.num_samples
        self.sleep_s = sleep_s
        self.images = torch.rand(config.batch_size, 3, pixels, pixels)
        self.targets = torch.arange(config.batch_size) % CLASSES

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[0], self.targets[0]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        time.sleep(self.sleep_s)
        return self.images[: len(indices)], self.targets[: len(indices)]


class Convolutions(nn.Module):
    """A network whose time is its convolutions'."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, 4)
        self.layers = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = x + layer(x).relu() * 0.1
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


class TinyOperators(nn.Module):
    """A thousand operators that each do next to nothing."""

    def __init__(self, count: int = 1000) -> None:
        super().__init__()
        self.count = count
        self.shift = nn.Parameter(torch.zeros(1))
        self.head = nn.Linear(3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        part = self.shift / self.count
        x = x.mean((2, 3))
        for _ in range(self.count):
            x = x + part
        return self.head(x)  # type: ignore[no-any-return]


def _with_items(model: Any, batch: Any) -> Tensor:
    """A step that looks at a number on the device after every layer."""
    images, targets = batch
    x, seen = model.stem(images), 0.0
    for layer in model.layers:
        x = x + layer(x).relu() * 0.1
        seen += x.mean().item()
    loss = nn.functional.cross_entropy(model.head(x.mean((2, 3))), targets)
    return loss + 0.0 * seen


def _workload(model: nn.Module, dataset: Images, **parts: Any) -> Workload:
    parts = parts or {"loss": nn.CrossEntropyLoss()}
    return Workload(
        model=model,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1e-4),
        dataset=dataset,
        collate=lambda batch: batch,
        **parts,
    )


def input(config: RunConfig) -> Workload:
    """Two workers that sleep for a batch, longer than a step takes."""
    return _workload(Convolutions(64, 4), Images(config, PIXELS, sleep_s=0.05))


def h2d(config: RunConfig) -> Workload:
    """Large images and next to no network: a step is the copy of its batch."""
    return _workload(Convolutions(8, 1), Images(config, 4 * PIXELS))


def launch_bound(config: RunConfig) -> Workload:
    """A thousand small kernels a step."""
    return _workload(TinyOperators(), Images(config, PIXELS))


def item(config: RunConfig) -> Workload:
    """Forty calls of `.item()` a step, each of which empties the device's queue."""
    return _workload(Convolutions(32, 40), Images(config, PIXELS), step=_with_items)


def prefetched(config: RunConfig) -> Workload:
    """A loader whose batches take long and are always there; a GradScaler waits for the device each step."""
    return _workload(Convolutions(256, 16), Images(config, PIXELS, sleep_s=0.02))


def compute(config: RunConfig) -> Workload:
    """Convolutions in FP32, and a loader that costs nothing."""
    return _workload(Convolutions(256, 8), Images(config, PIXELS))


def balanced(config: RunConfig) -> Workload:
    """A loader that makes a batch in a little less than a step takes: measured here, on this device."""
    model = Convolutions(256, 8)
    found = _workload(model, Images(config, PIXELS))
    step_s = _step_s(model, config)
    found.dataset.sleep_s = 0.9 * step_s * max(1, config.num_workers)  # type: ignore[attr-defined]
    return found


def _step_s(model: nn.Module, config: RunConfig) -> float:
    device = torch.device(config.device)
    model.to(device)
    images = torch.rand(config.batch_size, 3, PIXELS, PIXELS, device=device)
    begin = 0.0
    for step in range(8):
        if step == 3:
            _wait(device)
            begin = time.perf_counter()
        model(images).mean().backward()
        model.zero_grad()
    _wait(device)
    return (time.perf_counter() - begin) / 5


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
