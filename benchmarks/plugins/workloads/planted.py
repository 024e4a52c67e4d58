"""Training jobs with one bottleneck planted by construction, and each again without it.

`--arch benchmarks/plugins/workloads/planted.py:NAME`; `NAME_off` is the same job without its plant: the
difference of their epochs is what the plant costs. `benchmarks/planted.py` diagnoses them all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, get_worker_info

from perfkit.config import RunConfig
from perfkit.training.workload import Epoch, Periodic, Workload

WIDTH = 256
CLASSES = 10
FIELDS = 7
STALL_EVERY = 10


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training: what its loader, its step and its epochs cost. Seconds."""

    layers: int = 8
    tiny_operators: int = 0
    """Small operators in a row, in place of layers."""
    sample_sleep_s: float = 0.0
    """Blocked, as on storage."""
    sample_cpu_s: float = 0.0
    collate_cpu_s: float = 0.0
    listed: bool = False
    """Targets cross as many small tensors."""
    stall_s: float = 0.0
    """One long stall in every tenth batch of a worker."""
    metrics_s: float = 0.0
    evaluation_s: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    """RunConfig fields that belong to the job."""

    def without(self) -> Job:
        """The same job with its plant taken out."""
        return replace(self, **{**_NO_COSTS, **self.off})

    off: dict[str, Any] = field(default_factory=dict)
    """What else the job is without its plant."""


_NO_COSTS: dict[str, Any] = {
    "sample_sleep_s": 0.0, "sample_cpu_s": 0.0, "collate_cpu_s": 0.0, "listed": False, "stall_s": 0.0,
    "metrics_s": 0.0, "evaluation_s": 0.0,
}  # fmt: skip

JOBS: dict[str, Job] = {
    "slow_storage": Job(sample_sleep_s=0.004, settings={"num_workers": 2}),
    "slow_decode": Job(sample_cpu_s=0.003, settings={"num_workers": 1}),
    "heavy_collate": Job(collate_cpu_s=0.04, settings={"num_workers": 1}),
    "many_tensors": Job(layers=1, listed=True, settings={"num_workers": 2}),
    "too_few_workers_1_5": Job(sample_sleep_s=0.00095, settings={"num_workers": 1}),
    "too_few_workers_2_5": Job(sample_sleep_s=0.00158, settings={"num_workers": 1}),
    "too_few_workers_3_5": Job(sample_sleep_s=0.0022, settings={"num_workers": 1}),
    "fighting": Job(layers=12, sample_cpu_s=0.0006, settings={"num_workers": 2, "batch_size": 64}),
    "tiny_operators": Job(
        layers=0,
        tiny_operators=1000,
        off={"tiny_operators": 0, "layers": 1},
        settings={"num_workers": 0},
    ),
    "heavy_model": Job(
        layers=60, off={"layers": 60}, settings={"num_workers": 1, "batch_size": 64}
    ),
    "slow_metrics": Job(metrics_s=0.4, settings={"num_workers": 1, "metrics_every": 1}),
    "slow_evaluation": Job(evaluation_s=0.4, settings={"num_workers": 1}),
    "respawned_workers": Job(
        off={"settings": {"num_workers": 2, "num_samples": 512, "persistent_workers": True}},
        settings={"num_workers": 2, "num_samples": 512, "persistent_workers": False},
    ),
    "prefetched": Job(
        layers=40,
        sample_sleep_s=0.001,
        settings={"num_workers": 1, "prefetch_factor": 4, "batch_size": 16},
    ),
    "long_stall": Job(stall_s=0.6, settings={"num_workers": 1}),
    "foreign_load": Job(layers=12, settings={"num_workers": 1, "batch_size": 64}),
    "balanced": Job(layers=12, sample_sleep_s=0.0001, settings={"num_workers": 1}),
}


class Samples(Dataset[Any]):
    """Vectors with a class, and what each costs."""

    def __init__(self, job: Job, size: int, batch_size: int) -> None:
        self.job, self.size, self.batch_size = job, size, batch_size
        self.read = 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        job = self.job
        if job.stall_s and get_worker_info() is not None:
            self.read += 1
            if self.read % (STALL_EVERY * self.batch_size) == 0:
                time.sleep(job.stall_s)
        if job.sample_sleep_s:
            time.sleep(job.sample_sleep_s)
        compute(job.sample_cpu_s)
        return torch.full((WIDTH,), index / self.size), index % CLASSES


def compute(seconds: float) -> None:
    """Use so much CPU time of this thread, as a decoder does: without the interpreter's lock."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        torch.full((20_000,), 0.5).sin_()


class TinyOperators(nn.Module):
    """Many operators that each do next to nothing."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.count):
            x = x + self.shift
        return x


class Collate:
    """Stacks a batch, for so much CPU time; targets as one tensor, or as many small ones."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, samples: list[Any]) -> tuple[Tensor, Any]:
        compute(self.job.collate_cpu_s)
        inputs = torch.stack([x for x, _ in samples])
        if not self.job.listed:
            return inputs, torch.tensor([label for _, label in samples])
        targets = [
            {f"field{n}": torch.full((3,), label) for n in range(FIELDS)} for _, label in samples
        ]
        return inputs, targets


def _loss(outputs: Tensor, targets: Any) -> Tensor:
    if isinstance(targets, list):
        targets = torch.stack([target["field0"][0] for target in targets])
    return nn.functional.cross_entropy(outputs, targets)


def _busy(seconds: float, epoch: Epoch) -> dict[str, Any]:
    compute(seconds)
    return {}


def make(job: Job, config: RunConfig) -> Workload:
    """Return the workload of a job."""
    layers: list[nn.Module] = []
    for _ in range(job.layers):
        layers += [nn.Linear(WIDTH, WIDTH), nn.ReLU()]
    if job.tiny_operators:
        layers.append(TinyOperators(job.tiny_operators))
    periodic = ()
    if job.metrics_s:
        task = Periodic(
            name="metrics", every=config.metrics_every, run=partial(_busy, job.metrics_s)
        )
        periodic = (task,)
    return Workload(
        model=nn.Sequential(*layers, nn.Linear(WIDTH, CLASSES)),
        loss=_loss,
        optimizer=partial(torch.optim.SGD, lr=config.learning_rate),
        dataset=Samples(job, config.num_samples, config.batch_size),
        collate=Collate(job),
        evaluate=partial(_busy, job.evaluation_s) if job.evaluation_s else None,
        periodic=periodic,
    )


def __getattr__(name: str) -> Callable[[RunConfig], Workload]:
    """Every job's factory, and that of the job without its plant."""
    job = JOBS.get(name.removesuffix("_off"))
    if job is None:
        raise AttributeError(name)
    return partial(make, job.without() if name.endswith("_off") else job)
