"""Training jobs with one bottleneck planted by construction, and each again without it.

`--arch benchmarks/plugins/workloads/planted.py:NAME`; `NAME_off` is the same job without its plant: the
difference of their epochs is what the plant costs. `--num-blocks` is the number of layers, and so how long
computing a step takes; `benchmarks/planted.py` finds it for the `step_s` of each job and diagnoses them all.
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
from perfkit.training.workload import Epoch, Periodic, Setting, Workload

SETTINGS = (
    Setting("num_blocks", 4, "Layers: how long computing a step takes.", least=1),
    Setting("metrics_every", 10, "Epochs between metrics, in the job that has some.", least=0),
)
WIDTH = 256
TOKENS = 4
"""Vectors of a sample: a layer has enough to compute for its speed to be the processor's."""
BATCH = 16
STEP_S = 0.012
"""What computing a step takes, unless a job says otherwise; what loaders cost is told by it."""
READ = 4
"""Samples that one read of the storage brings: a sleep is always a little longer than asked for."""
CLASSES = 10
FIELDS = 7
STALL_EVERY = 10


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training: what its loader, its step and its epochs cost. Seconds."""

    step_s: float = STEP_S
    """What computing a step should take; 0: one layer."""
    sleeps: bool = False
    """The step sleeps for so long instead, beside one layer: the machine has no say in its length."""
    tiny_operators: int = 0
    """Small operators in a row, beside the layers."""
    sample_sleep_s: float = 0.0
    """Blocked, as on storage."""
    sample_cpu_s: float = 0.0
    collate_cpu_s: float = 0.0
    start_s: float = 0.0
    """The first read of a worker takes so much longer: it opens its files."""
    listed: bool = False
    """Targets cross as many small tensors."""
    stall_s: float = 0.0
    """One long stall in every tenth batch of a worker."""
    metrics_s: float = 0.0
    evaluation_s: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    """RunConfig fields that belong to the job."""
    own: dict[str, Any] = field(default_factory=dict)
    """Settings of this file's own that do."""
    off: dict[str, Any] = field(default_factory=dict)
    """Further settings that are its plant, as they are without it."""

    def without(self) -> Job:
        """The same job with its plant taken out."""
        return replace(self, **_NO_COSTS, settings={**self.settings, **self.off}, off={})


_NO_COSTS: dict[str, Any] = {
    "tiny_operators": 0, "sample_sleep_s": 0.0, "sample_cpu_s": 0.0, "collate_cpu_s": 0.0, "start_s": 0.0,
    "listed": False, "stall_s": 0.0, "metrics_s": 0.0, "evaluation_s": 0.0,
}  # fmt: skip
LONG_S = 4 * STEP_S
"""A step beside which handing over a batch, some 2 ms, is little."""
_FIGHTING = Job(step_s=LONG_S, sample_cpu_s=1.6 * LONG_S / BATCH, settings={"num_workers": 2})


def _too_few(ratio: float) -> Job:
    """A worker that sleeps for a batch `ratio` times as long as a step does."""
    step_s = 3 * STEP_S
    sample_s = ratio * step_s / BATCH
    return Job(step_s=step_s, sleeps=True, sample_sleep_s=sample_s, settings={"num_workers": 1})


JOBS: dict[str, Job] = {
    # nothing is planted: what a layer costs is found on it
    "plain": Job(settings={"num_workers": 0}),
    "slow_storage": Job(sample_sleep_s=4 * STEP_S / BATCH, settings={"num_workers": 2}),
    "slow_decode": Job(sample_cpu_s=2.5 * STEP_S / BATCH, settings={"num_workers": 1}),
    "heavy_collate": Job(collate_cpu_s=2.5 * STEP_S, settings={"num_workers": 1}),
    "many_tensors": Job(listed=True, settings={"num_workers": 2}),
    "too_few_workers_1_5": _too_few(1.5),
    "too_few_workers_2_5": _too_few(2.5),
    "too_few_workers_3_5": _too_few(3.5),
    # two workers keep up with ease, and two cores are too few for both and the trainer
    "fighting": _FIGHTING,
    "tiny_operators": Job(step_s=0.0, tiny_operators=1000, settings={"num_workers": 0}),
    "heavy_model": Job(step_s=4 * STEP_S, settings={"num_workers": 1}),
    # without workers: where handing over a batch takes 5 ms, that is as much of an epoch
    "slow_metrics": Job(metrics_s=0.8, settings={"num_workers": 0}, own={"metrics_every": 1}),
    "slow_evaluation": Job(evaluation_s=0.8, settings={"num_workers": 0}),
    "respawned_workers": Job(
        start_s=0.3,
        settings={"num_workers": 2, "num_samples": 256, "persistent_workers": False},
        off={"persistent_workers": True},
    ),
    # a batch takes longer than a step, but two workers make them and eight may lie ready
    "prefetched": Job(
        step_s=LONG_S,
        sample_sleep_s=1.5 * LONG_S / BATCH,
        settings={"num_workers": 2, "prefetch_factor": 4},
    ),
    "long_stall": Job(stall_s=0.6, settings={"num_workers": 1}),
    "foreign_load": Job(settings={"num_workers": 1}),
    # a batch takes a little less than a step
    "balanced": Job(
        step_s=LONG_S, sample_sleep_s=0.8 * LONG_S / BATCH, settings={"num_workers": 1}
    ),
    "too_short": _FIGHTING,
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
        self.read += 1
        in_worker = get_worker_info() is not None
        if job.start_s and in_worker and self.read == 1:
            time.sleep(job.start_s)
        if job.stall_s and in_worker and self.read % (STALL_EVERY * self.batch_size) == 0:
            time.sleep(job.stall_s)
        if job.sample_sleep_s and self.read % READ == 0:
            time.sleep(job.sample_sleep_s * READ)
        compute(job.sample_cpu_s)
        return torch.full((TOKENS, WIDTH), index / self.size), index % CLASSES


def compute(seconds: float) -> None:
    """Use so much CPU time of this thread, as a decoder does: without the interpreter's lock."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        torch.full((20_000,), 0.5).sin_()


class TinyOperators(nn.Module):
    """Many operators that each do next to nothing; together they add one number."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        part = self.shift / self.count
        for _ in range(self.count):
            x = x + part
        return x


class Layers(nn.Module):
    """Layers that keep the size of what goes through them, however many there are; then the classes."""

    def __init__(self, count: int, tiny_operators: int, sleep_s: float = 0.0) -> None:
        super().__init__()
        self.sleep_s = sleep_s
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(count))
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.tiny = TinyOperators(tiny_operators) if tiny_operators else nn.Identity()
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(self.sleep_s)
        for layer in self.layers:
            x = layer(x).relu()
        return self.head(self.tiny(x.mean(dim=1)))


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
    periodic = ()
    if job.metrics_s:
        task = Periodic(
            name="metrics",
            every=config.count_of("metrics_every"),
            run=partial(_busy, job.metrics_s),
        )
        periodic = (task,)
    return Workload(
        model=Layers(
            config.count_of("num_blocks"), job.tiny_operators, job.step_s if job.sleeps else 0.0
        ),
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
