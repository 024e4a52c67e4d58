"""The pipeline model: what an epoch costs. Only this file computes times.

    epoch = batches × step + evaluation + Σ periodic ÷ every + start + once ÷ epochs + rest
    step  = max(training side + contention, production ÷ workers, the cores' bound) + stalls     with workers
          = training side + production                                                           without

`production` is what one worker takes for one batch, blocked and computing; `CPU` what workers compute for
a batch and the trainer uses beside them. Contention is what workers take from the training side once it
waits for nothing: while it waits, part of their computing hurts nobody, so that `c` seconds measured in a
step with a wait become `c × step ÷ (step − wait)` without.

The cores' bound is where workers' and trainer's CPU seconds are more than the cores have. Shared evenly,
all of it is done in CPU ÷ cores. At worst each second of a worker beyond the cores that the trainer leaves
stops the trainer whole, as threads that wait for each other at the end of every operator do: a step then
lasts as long as the trainer alone and what workers compute beside the free cores. The truth lies between
the two: the low end of a prediction takes the worst, the value the middle, the high end an even share. With
one trainer thread both are one. How many cores a trainer's threads really use beside workers is told by
its step where there are workers; where there are none, the high end takes it to be one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from perfkit.diagnosis.measured import End, Work


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A training as the model sees it. Times are of one batch unless said otherwise, in seconds."""

    end: End = "value"
    """Which end of the measured intervals it was made from."""
    batches: float
    """Of an epoch; a partial one counts by its samples."""
    compute_s: float = 0.0
    """Forward and backward, nothing beside it."""
    update_s: float = 0.0
    """The optimizer's step."""
    h2d_s: float = 0.0
    host_launch_s: float = 0.0
    """What the device would idle for launches, were there no copies in that time."""
    sync_s: float = 0.0
    communication_s: float = 0.0
    transfer_s: float = 0.0
    """Taking over a batch."""
    hidden_s: float = 0.0
    """The part of `host_launch_s` that the device spends on copies."""
    fixed_s: float = 0.0
    """The rest of a step, which no remedy touches."""
    contention_s: float = 0.0
    """What workers take from the trainer once it waits for nothing."""
    blocked_s: float = 0.0
    """What a worker waits for storage and the like for one batch."""
    cpu_s: float = 0.0
    """What it computes for it."""
    aside_s: float = 0.0
    """What its other threads compute beside that."""
    workers: int = 0
    prefetch: int = 2
    cores: int | None = None
    trainer_cores: float = 1.0
    """Cores that the training side uses while it runs."""
    tied: float = 0.0
    """How far a trainer whose cores are taken stops whole: 0 shares them evenly, 1 is the worst."""
    stalls_s: float = 0.0
    """Wait that is left although the loader is fast enough on average."""
    waits_s: tuple[float, ...] = ()
    """The single waits behind it."""
    queue: int = 0
    """Batches that were kept ready when those waits were measured."""
    handover_s: float = 0.0
    """What workers would add to the training side, where there were none."""
    evaluation: Work = field(default_factory=lambda: Work(run_s=0.0))
    periodic: Mapping[str, Work] = field(default_factory=dict)
    start_s: float = 0.0
    """Start of each epoch."""
    once_s: float = 0.0
    """One-time costs of a run."""
    epochs: int = 1
    rest_s: float = 0.0
    """Seconds of an epoch that are in nothing above."""

    @property
    def side_s(self) -> float:
        """The training side of a step: its batch there, nothing beside it."""
        return self.replayed_s + self.transfer_s

    @property
    def replayed_s(self) -> float:
        """The training side without the loader."""
        launch_s = max(self.host_launch_s, self.hidden_s)
        work = self.compute_s + self.update_s + self.h2d_s + launch_s
        return work + self.sync_s + self.communication_s + self.fixed_s

    @property
    def training_s(self) -> float:
        """A step that waits for nothing, beside its workers."""
        return self.side_s + self.handover_s + self.contention_s

    @property
    def production_s(self) -> float:
        """One batch by one worker."""
        return self.blocked_s + self.cpu_s

    def produces(self, *, blocked_s: float, cpu_s: float, aside_s: float | None = None) -> Pipeline:
        """Return it with another production; contention follows what workers compute.

        Args:
            aside_s: None where a batch has the bytes that it had: what is computed aside hands it over.
        """
        aside_s = self.aside_s if aside_s is None else aside_s
        computed_s = self.cpu_s + self.aside_s
        scale = (cpu_s + aside_s) / computed_s if computed_s > 0 else 1.0
        return replace(
            self,
            blocked_s=blocked_s,
            cpu_s=cpu_s,
            aside_s=aside_s,
            contention_s=self.contention_s * scale,
        )


def step_s(pipeline: Pipeline) -> float:
    """Return the mean seconds of a step."""
    if pipeline.workers == 0:
        return pipeline.replayed_s + pipeline.production_s
    return max(pipeline.training_s, delivery_s(pipeline)) + _stalls_s(pipeline)


def epoch_s(pipeline: Pipeline) -> float:
    """Return the mean seconds of an epoch, one-time costs spread over all epochs."""
    between = pipeline.evaluation.epoch_s + sum(w.epoch_s for w in pipeline.periodic.values())
    start = pipeline.start_s + pipeline.once_s / pipeline.epochs
    return pipeline.batches * step_s(pipeline) + between + start + pipeline.rest_s


def delivery_s(pipeline: Pipeline) -> float:
    """Seconds between batches as workers and cores can give them."""
    by_workers = pipeline.production_s / pipeline.workers
    if pipeline.cores is None:
        return by_workers
    evenly_s, stopped_s = cores_bounds_s(pipeline, pipeline.cores)
    return max(by_workers, evenly_s + pipeline.tied * (stopped_s - evenly_s))


def cores_bounds_s(pipeline: Pipeline, cores: int) -> tuple[float, float]:
    """Seconds of a step as the cores allow it: shared evenly, and where the trainer stops whole."""
    side_s = pipeline.side_s + pipeline.handover_s
    computed_s = pipeline.cpu_s + pipeline.aside_s
    evenly_s = (computed_s + pipeline.trainer_cores * side_s) / cores
    free = max(0.0, cores - max(1.0, pipeline.trainer_cores))
    return evenly_s, max(evenly_s, (side_s + computed_s) / (1 + free))


def _stalls_s(pipeline: Pipeline) -> float:
    added = pipeline.workers * pipeline.prefetch - pipeline.queue
    fast_enough = delivery_s(pipeline) < pipeline.training_s
    if added <= 0 or not fast_enough or not pipeline.waits_s:
        return pipeline.stalls_s
    hidden_s = added * pipeline.training_s
    left = sum(max(0.0, wait - hidden_s) for wait in pipeline.waits_s)
    return pipeline.stalls_s * left / sum(pipeline.waits_s)
