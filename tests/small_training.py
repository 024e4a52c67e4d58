"""Trainings small enough to run inside a test, from parts that the test chooses."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from perfkit.config import RunConfig
from perfkit.records import STEPS, StepRecord
from perfkit.runfolder import RunFolder
from perfkit.training import losses, setup
from perfkit.training.arms import Real
from perfkit.training.edges import Edges
from perfkit.training.loading import BatchOrder, make_loader
from perfkit.training.loop import Loop
from perfkit.training.probe.recorder import Recorder
from perfkit.training.setup import Training
from perfkit.training.workload import Workload

BATCH = 16
Build = Callable[..., Any]


class Numbered(Dataset[tuple[torch.Tensor, int]]):
    """Samples that hold their own number, and note which were read in this process."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.read: list[int] = []

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        self.read.append(index)
        return torch.full((8,), index / self.size), index % 4


class Seen(nn.Linear):
    """A linear layer that notes how many samples each call had."""

    def __init__(self) -> None:
        super().__init__(8, 4)
        self.batches: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(x))
        return super().forward(x)


def use(patch: pytest.MonkeyPatch, **parts: Any) -> None:
    """Have every Training made from these parts; those not named are the smallest there are.

    `model_of` makes a model, a new one for each Training.
    """
    model_of = parts.pop("model_of", Seen)

    def make(config: RunConfig) -> Workload:
        usual: dict[str, Any] = {
            "model": model_of(),
            "loss": nn.CrossEntropyLoss(),
            "optimizer": partial(torch.optim.SGD, lr=config.learning_rate),
            "dataset": Numbered(config.num_samples),
        }
        return Workload(**(usual | parts))

    patch.setattr(setup, "make_workload", make)
    patch.setattr(losses, "make_workload", make)


def config(**settings: Any) -> RunConfig:
    """Settings of a small training on the CPU."""
    return RunConfig(arch="small", **{"batch_size": BATCH, "num_samples": 64, **settings})


def run_folder(path: Path, **settings: Any) -> RunFolder:
    """A run folder of such a training."""
    return RunFolder.create(path / "run", config(**settings))


def let_go(real: Real) -> None:
    """End the workers, those that persist too, before the garbage collector does.

    It takes their queues down first, and they would be waited for in vain, for five seconds.
    """
    real.close()
    real._loader._iterator = None


def loop_of(path: Path, **settings: Any) -> Loop:
    """A loop over such a training, its steps recorded below `path`."""
    steps = path / "steps.bin"
    return Loop(Training(config(**settings)), Recorder(steps), steps)


def answered(value: dict[str, Any]) -> dict[str, Any]:
    """The answer as the engine gets it: without NaN, which JSON has not."""
    got: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    assert got == value
    return got


def raising(error: Exception) -> Any:
    """A function that raises it, whatever it is called with."""

    def raises(*_: Any, **__: Any) -> Any:
        raise error

    return raises


def edges_of(loop: Loop, folder: Path) -> tuple[Real, Edges]:
    """The edges of a loop over a loader of its own, and what reads that."""
    training = loop.training
    order = BatchOrder(training.config)
    loader = make_loader(training.config, training.workload, order)
    real = Real(loader)
    return real, Edges(loop, real, loader, order, str(folder))


def source_of(loop: Loop) -> Real:
    """A loader of its own for that loop."""
    training = loop.training
    return Real(make_loader(training.config, training.workload, BatchOrder(training.config)))


def records(loop: Loop) -> list[StepRecord]:
    """The steps that it has recorded."""
    return list(STEPS.read(loop._steps_file))
