"""Settings of a training that was watched, as they were read from inside. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from perfkit.config import RunConfig
from perfkit.records import StepRecord
from perfkit.study.attached.loop import Loop
from perfkit.study.attached.read import Recorded

ARCH = "run"


def config_of(recorded: Recorded, loop: Loop) -> RunConfig:
    """Return the settings of a training as they were read from inside; of what is not known the defaults.

    An epoch has as many samples as its steps have batches: which of them were smaller is in their times.
    """
    place, precision = loop.widest, (recorded.told("precision") or [{}])[-1]
    size = place.batch_size or _usual_samples(loop.steps)
    return RunConfig(
        arch=ARCH,
        variants=((_precision(precision), None),),
        devices=(str(precision.get("device") or "cpu"),),
        parallel="ddp" if (recorded.world_size or 1) > 1 else "none",
        batch_size=size,
        num_samples=size * loop.steps_per_epoch,
        num_workers=max(0, place.num_workers),
        prefetch_factor=max(1, place.prefetch_factor or 2),
        pin_memory=place.pin_memory,
        persistent_workers=place.persistent_workers and not place.made_anew,
        num_threads=_threads(recorded.environment),
    )


def _threads(environment: dict[str, Any]) -> int:
    """Threads that torch computes with: as it said, as OpenMP was told, else one per core, its default."""
    variables = environment.get("variables") or {}
    named = variables.get("OMP_NUM_THREADS") if isinstance(variables, dict) else None
    for threads in (environment.get("num_threads"), named, environment.get("cores_usable")):
        text = str(threads)
        if text.isdecimal() and int(text) > 0:
            return int(text)
    return 1


def _precision(told: dict[str, Any]) -> str:
    autocast = told.get("autocast")
    return {"bf16": "bf16", "fp16": "amp"}.get(str(autocast), "fp32")


def _usual_samples(steps: Sequence[StepRecord]) -> int:
    counts = Counter(step.samples for step in steps if step.samples > 0)
    return counts.most_common(1)[0][0] if counts else 1
