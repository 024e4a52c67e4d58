"""What an epoch takes after a change: the pipeline model (`pipeline.py`), anchored in what was measured.

The model is anchored in what was measured, so that a pipeline left alone predicts exactly 1.0:

- Production and the cores' bound are taken down to the measured step where they exceed it, since a loader
  that delivered a batch a step can do so. Without workers production is what was waited.
- `stalls` is the wait that remains: batches were late although the loader is fast enough on average,
  because times vary. It stays, but for what a deeper queue hides: of each single wait what the added
  batches last, and only where the loader is fast enough on average to have them ready.
- Copies that are hidden behind the launching of kernels take no time of their own; what launching would
  take without them is as much more. So neither copies nor launches save what the other hides.
- Computing is what it takes with its batches there, as the arms tell: after a wait it takes longer, and that
  goes with the wait. Without workers it counts as production.
- Handing over is every batch's: of one that was late it is part of its wait, and goes with the workers.
- A prediction is the measured epoch less a difference of two models. A ratio of models would scale stalls,
  and all that the model does not know, along with what was changed.

Uncertainty comes from `attribution.removable_s`: the model is made three times, with every cause at the
value, the low and the high end of its interval, and what is saved is read off each. A cause never saves
more than was removable. A `bound` (Amdahl: what is touched, at its very best) saves at least 0 s.

A speed-up is of the forecast epoch, one-time costs left out, as a bench's is (`study/ratios.py`): what
`--verify` measures is held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from perfkit.diagnosis import measured
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.measured import End, Production, Step
from perfkit.diagnosis.pipeline import Pipeline, cores_bounds_s, delivery_s, epoch_s, step_s
from perfkit.stats import Interval

__all__ = [
    "ENDS",
    "Effect",
    "Pipeline",
    "Prediction",
    "epoch_s",
    "pipeline_of",
    "predict",
    "step_s",
]

ENDS: tuple[End, ...] = ("value", "low", "high")
HANDOVER_S: Mapping[End, float] = {"value": 1.45e-3, "low": 2.0e-3, "high": 0.9e-3}
"""Taking a batch over from a worker, where there was none yet to tell it; the low end of what is saved is
the longest. For 16 images of 32 pixels `next()` took 24 µs without and 876 µs with two workers on one
two-core machine, and handing over took some 2 ms on another (`reports/planted/README.md`)."""
TIED: Mapping[End, float] = {"value": 0.5, "low": 1.0, "high": 0.0}
"""Where between an even share of the cores and a trainer that stops whole a prediction is made."""
LEAST_WAIT_SHARE = 0.05
"""A loader whose production was not seen counts as the slower side from this share of the step on."""
LEAST_LEFT = 1e-3
"""Part of an epoch that is left, whatever is removed."""
Effect = Callable[[Pipeline], Pipeline]
"""What a remedy does to a pipeline."""


def pipeline_of(evidence: Evidence, end: End = "value") -> Pipeline | None:
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
    threads = config.num_threads if evidence.on_cpu else 1
    real = [s for s in evidence.stretches if s.arm == "real"]
    made = Pipeline(
        end=end,
        batches=batches,
        compute_s=step["compute"] * (1 - update),
        update_s=step["compute"] * update,
        h2d_s=step["h2d"],
        host_launch_s=step["host_launch"] + step["hidden"],
        hidden_s=step["hidden"],
        sync_s=step["sync"],
        communication_s=step["communication"],
        # without workers nothing is handed over, and nobody computes beside the trainer
        transfer_s=0.0 if alone else step["transfer"] + step["late"],
        fixed_s=step["fixed"] + (step["contention"] + step["late"] if alone else 0.0),
        workers=config.num_workers,
        prefetch=config.prefetch_factor,
        queue=config.queue_capacity,
        cores=evidence.cores,
        trainer_cores=float(min(threads, evidence.cores or threads)),
        waits_s=tuple(w for s in real for w in s.wait_s if w > 0),
        evaluation=between.evaluation,
        periodic=between.periodic,
        start_s=between.start_s,
        once_s=between.once_s,
        epochs=config.epochs,
    )
    made = _anchored(made, measured.production(evidence.loader), step)
    return replace(made, rest_s=found.epoch_s - epoch_s(made))


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a change is predicted to do to an epoch."""

    saves_s: Interval
    speedup: Interval
    """Epoch now ÷ epoch with it, one-time costs left out."""


def predict(
    evidence: Evidence, effects: Sequence[Effect], at_best: Sequence[Effect] = ()
) -> Prediction | None:
    """Return what changes save together; None where the epoch was not attributed.

    Args:
        at_best: effects that are bounds: they may do as much, or nothing.
    """
    saved, faster = {}, {}
    for end in ENDS:
        now = pipeline_of(evidence, end)
        if now is None:
            return None
        sure = _applied(now, effects)
        best = _applied(sure, at_best)
        saved[end] = (epoch_s(now) - epoch_s(best), epoch_s(now) - epoch_s(sure))
        faster[end] = tuple(
            _ratio(_forecast_s(now), _forecast_s(now) - _forecast_s(one)) for one in (best, sure)
        )
    return Prediction(saves_s=_over(saved), speedup=_over(faster))


def _over(ends: Mapping[End, tuple[float, ...]]) -> Interval:
    """The interval of figures of every end: with all that is a bound, and with none of it."""
    every = [value for told in ends.values() for value in told]
    low, high, value = min(every), max(every), ends["value"][0]
    return Interval(value) if low == high else Interval(value, low, high)


def _applied(pipeline: Pipeline, effects: Sequence[Effect]) -> Pipeline:
    for effect in effects:
        pipeline = effect(pipeline)
    return pipeline


def _ratio(whole_s: float, saved_s: float) -> float:
    return whole_s / max(whole_s - saved_s, LEAST_LEFT * whole_s)


def _forecast_s(pipeline: Pipeline) -> float:
    """Seconds of an epoch without one-time costs."""
    return epoch_s(pipeline) - pipeline.once_s / pipeline.epochs


def _anchored(made: Pipeline, worker: Production, step: Step) -> Pipeline:
    """Return it with production, contention and stalls in agreement with the measured step."""
    whole, step_s = worker.blocked_s + worker.cpu_s, step.whole_s
    if made.workers == 0:
        wait_s = step["waiting"] + step["transfer"] + step["cold"]
        blocked_s = wait_s * worker.blocked_s / whole if whole > 0 else 0.0
        handover_s = HANDOVER_S[made.end]
        return replace(
            made,
            blocked_s=blocked_s,
            cpu_s=wait_s - blocked_s,
            # what the trainer copies out of shared memory, a worker has copied into it
            aside_s=handover_s,
            handover_s=handover_s,
            tied=TIED[made.end],
            trainer_cores=1.0 if made.end == "high" else made.trainer_cores,
        )
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
    made = replace(made, tied=_tied(made, step_s))
    late_s = step_s - max(made.training_s, delivery_s(made))
    return replace(made, stalls_s=max(0.0, late_s))


def _tied(made: Pipeline, step_s: float) -> float:
    """How far the trainer stops whole: no further than the measured step shows."""
    if made.cores is None:
        return 0.0
    evenly_s, stopped_s = cores_bounds_s(made, made.cores)
    if stopped_s <= max(evenly_s, step_s):
        return TIED[made.end]
    seen = max(0.0, step_s - evenly_s) / (stopped_s - evenly_s)
    return min(TIED[made.end], seen)
