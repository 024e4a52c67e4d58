"""The pipeline model: what an epoch costs, and what after a change. Only this file computes times.

    epoch = batches × step + evaluation + Σ periodic ÷ every + start + once ÷ epochs + rest
    step  = max(training side + contention, production ÷ workers, CPU ÷ cores) + stalls     with workers
          = training side + production                                                      without

`production` is what one worker takes for one batch, blocked and computing; `CPU` what workers compute for
a batch and the trainer uses beside them. Contention is what workers take from the training side once it
waits for nothing: while it waits, part of their computing hurts nobody, so that `c` seconds measured in a
step with a wait become `c × step ÷ (step − wait)` without.

The model is anchored in what was measured, so that a pipeline left alone predicts exactly 1.0:

- Production and the cores' bound are taken down to the measured step where they exceed it, since a loader
  that delivered a batch a step can do so. Without workers production is what was waited.
- `stalls` is the wait that remains: batches were late although the loader is fast enough on average,
  because times vary. It stays, but for what a deeper queue hides: of each single wait what the added
  batches last, and only where the loader is fast enough on average to have them ready.
- A prediction is the measured epoch less a difference of two models. A ratio of models would scale stalls,
  and all that the model does not know, along with what was changed.

Uncertainty comes from `attribution.removable_s`: the model is made three times, with every cause at the
value, the low and the high end of its interval, and what is saved is read off each. A cause never saves
more than was removable. A `bound` (Amdahl: what is touched, at its very best) saves at least 0 s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from perfkit.diagnosis import measured
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.measured import End, Production, Step, Work
from perfkit.stats import Interval

ENDS: tuple[End, ...] = ("value", "low", "high")
HANDOVER_S = 0.9e-3
"""Taking a batch over from a worker, where there was none yet: `next()` took 24 µs without and 876 µs with
two workers, for 16 images of 32 pixels on a two-core machine."""
LEAST_WAIT_SHARE = 0.05
"""A loader whose production was not seen counts as the slower side from this share of the step on."""
LEAST_LEFT = 1e-3
"""Part of an epoch that is left, whatever is removed."""


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
    sync_s: float = 0.0
    communication_s: float = 0.0
    transfer_s: float = 0.0
    """Taking over batches that were ready."""
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
        work = self.compute_s + self.update_s + self.h2d_s + self.host_launch_s
        return work + self.sync_s + self.communication_s + self.fixed_s

    @property
    def training_s(self) -> float:
        """A step that waits for nothing, beside its workers."""
        return self.side_s + self.handover_s + self.contention_s

    @property
    def production_s(self) -> float:
        """One batch by one worker."""
        return self.blocked_s + self.cpu_s

    def produces(self, *, blocked_s: float, cpu_s: float) -> Pipeline:
        """Return it with another production; contention and CPU aside follow what workers compute."""
        scale = cpu_s / self.cpu_s if self.cpu_s > 0 else 1.0
        return replace(
            self,
            blocked_s=blocked_s,
            cpu_s=cpu_s,
            aside_s=self.aside_s * scale,
            contention_s=self.contention_s * scale,
        )

    @classmethod
    def of(cls, evidence: Evidence, end: End = "value") -> Pipeline | None:
        """Return the pipeline that was measured; None where its epoch was not attributed."""
        found, config = evidence.attribution, evidence.config
        if found is None or found.steps < 1 or found.epoch_s <= 0:
            return None
        batches = measured.batches(evidence, found)
        step, between = (
            measured.mean_step(found, batches, end),
            measured.between(evidence, found, end),
        )
        alone = config.num_workers == 0
        update = measured.update_share(evidence)
        real = [s for s in evidence.stretches if s.arm == "real"]
        made = cls(
            end=end,
            batches=batches,
            compute_s=step["compute"] * (1 - update),
            update_s=step["compute"] * update,
            h2d_s=step["h2d"],
            host_launch_s=step["host_launch"],
            sync_s=step["sync"],
            communication_s=step["communication"],
            # without workers nothing is handed over, and nobody computes beside the trainer
            transfer_s=0.0 if alone else step["transfer"],
            fixed_s=step["fixed"] + (step["contention"] if alone else 0.0),
            workers=config.num_workers,
            prefetch=config.prefetch_factor,
            queue=config.queue_capacity,
            cores=evidence.cores,
            trainer_cores=float(config.num_threads if evidence.on_cpu else 1),
            waits_s=tuple(w for s in real for w in s.wait_s if w > 0),
            evaluation=between.evaluation,
            periodic=between.periodic,
            start_s=between.start_s,
            once_s=between.once_s,
            epochs=config.epochs,
        )
        made = _anchored(made, measured.production(evidence.loader), step)
        return replace(made, rest_s=found.epoch_s - epoch_s(made))


Effect = Callable[[Pipeline], Pipeline]
"""What a remedy does to a pipeline."""


def step_s(pipeline: Pipeline) -> float:
    """Return the mean seconds of a step."""
    if pipeline.workers == 0:
        return pipeline.replayed_s + pipeline.production_s
    return max(pipeline.training_s, _delivery_s(pipeline)) + _stalls_s(pipeline)


def epoch_s(pipeline: Pipeline) -> float:
    """Return the mean seconds of an epoch, one-time costs spread over all epochs."""
    between = pipeline.evaluation.epoch_s + sum(w.epoch_s for w in pipeline.periodic.values())
    start = pipeline.start_s + pipeline.once_s / pipeline.epochs
    return pipeline.batches * step_s(pipeline) + between + start + pipeline.rest_s


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a change is predicted to do to an epoch."""

    saves_s: Interval
    speedup: Interval
    """Epoch now ÷ epoch with it."""


def predict(
    evidence: Evidence, effects: Sequence[Effect], at_best: Sequence[Effect] = ()
) -> Prediction | None:
    """Return what changes save together; None where the epoch was not attributed.

    Args:
        at_best: effects that are bounds: they may do as much, or nothing.
    """
    saved, sure = {}, {}
    for end in ENDS:
        now = Pipeline.of(evidence, end)
        if now is None:
            return None
        some = _applied(now, effects)
        sure[end] = epoch_s(now) - epoch_s(some)
        saved[end] = epoch_s(now) - epoch_s(_applied(some, at_best)) if at_best else sure[end]
    low = min(*saved.values(), *sure.values())
    high, value = max(saved.values()), saved["value"]
    assert evidence.attribution is not None
    whole_s = evidence.attribution.epoch_s
    if low == high:
        return Prediction(saves_s=Interval(value), speedup=Interval(_ratio(whole_s, value)))
    return Prediction(
        saves_s=Interval(value, low, high),
        speedup=Interval(*(_ratio(whole_s, s) for s in (value, low, high))),
    )


def _applied(pipeline: Pipeline, effects: Sequence[Effect]) -> Pipeline:
    for effect in effects:
        pipeline = effect(pipeline)
    return pipeline


def _ratio(whole_s: float, saved_s: float) -> float:
    return whole_s / max(whole_s - saved_s, LEAST_LEFT * whole_s)


def _delivery_s(pipeline: Pipeline) -> float:
    """Seconds between batches as workers and cores can give them."""
    by_workers = pipeline.production_s / pipeline.workers
    if pipeline.cores is None:
        return by_workers
    computed = pipeline.cpu_s + pipeline.aside_s + pipeline.trainer_cores * pipeline.side_s
    return max(by_workers, computed / pipeline.cores)


def _stalls_s(pipeline: Pipeline) -> float:
    added = pipeline.workers * pipeline.prefetch - pipeline.queue
    fast_enough = _delivery_s(pipeline) < pipeline.training_s
    if added <= 0 or not fast_enough or not pipeline.waits_s:
        return pipeline.stalls_s
    hidden_s = added * pipeline.training_s
    left = sum(max(0.0, wait - hidden_s) for wait in pipeline.waits_s)
    return pipeline.stalls_s * left / sum(pipeline.waits_s)


def _anchored(made: Pipeline, worker: Production, step: Step) -> Pipeline:
    """Return it with production, contention and stalls in agreement with the measured step."""
    whole, step_s = worker.blocked_s + worker.cpu_s, step.whole_s
    if made.workers == 0:
        wait_s = step["waiting"] + step["transfer"]
        blocked_s = wait_s * worker.blocked_s / whole if whole > 0 else 0.0
        return replace(made, blocked_s=blocked_s, cpu_s=wait_s - blocked_s, handover_s=HANDOVER_S)
    if whole <= 0 and step["waiting"] >= LEAST_WAIT_SHARE * step_s:
        whole = made.workers * step_s
        worker = Production(cpu_s=whole)
    scale = min(1.0, made.workers * step_s / whole) if whole > 0 else 1.0
    cpu_s = worker.cpu_s + worker.aside_s
    if made.cores is not None:
        scale = min(scale, made.cores * step_s / cpu_s) if cpu_s > 0 else scale
        spare = (made.cores * step_s - scale * cpu_s) / made.side_s if made.side_s > 0 else 0.0
        made = replace(made, trainer_cores=min(made.trainer_cores, max(0.0, spare)))
    busy_s = step_s - step["waiting"]
    made = replace(
        made,
        blocked_s=worker.blocked_s * scale,
        cpu_s=worker.cpu_s * scale,
        aside_s=worker.aside_s * scale,
        contention_s=step["contention"] * step_s / busy_s if busy_s > 0 else 0.0,
    )
    late_s = step_s - max(made.training_s, _delivery_s(made))
    return replace(made, stalls_s=max(0.0, late_s))
