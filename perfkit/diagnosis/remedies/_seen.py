"""What remedies ask of the evidence, and effects that several of them have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from perfkit import units, variants
from perfkit.diagnosis import interpreter, measured
from perfkit.diagnosis.evidence import Evidence, LoaderFacts
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Effect, Pipeline
from perfkit.document import Verdict
from perfkit.variants import DeviceInfo

INPUT_SHARE = 0.05
"""Waiting is worth a change from this share of the epoch on, as in XProf's input-pipeline analyzer."""
OTHER_SHARE = 0.03
"""And every other cause, as there."""
BACKWARD = 2.0
"""Times that backward takes as long as forward; see `vectorised_forward`."""
IMAGES = ("convnext", "baseline")
"""Workloads of ours that have `base_channels` and `num_blocks`, and convolutions."""


def share(evidence: Evidence, part: str) -> float:
    """Return what is removable of a cause as a share of the epoch; 0 where that was not attributed."""
    found = evidence.attribution
    if found is None or found.epoch_s <= 0:
        return 0.0
    return measured.removable_s(found, part) / found.epoch_s


def compute_share(evidence: Evidence) -> float:
    """Return the training side's own work as a share of the epoch: compute and the launching of it."""
    return share(evidence, "compute") + share(evidence, "host_launch")


def update_share(evidence: Evidence) -> float:
    """Return the optimizer's step as a share of the epoch."""
    return share(evidence, "compute") * measured.update_share(evidence)


def forward_as_backward(evidence: Evidence) -> Effect | None:
    """Return the effect of a forward in half of backward's time; None where that is little, or not known."""
    if not evidence.long_forward:
        return None
    forward_s, backward_s = (evidence.row.phases_s[name] for name in ("forward", "backward"))
    excess = (forward_s - backward_s / BACKWARD) / (forward_s + backward_s)
    if compute_share(evidence) * excess < OTHER_SHARE:
        return None
    return lambda pipeline: replace(pipeline, compute_s=pipeline.compute_s * (1 - excess))


def in_a_network(evidence: Evidence) -> bool:
    """Whether a long forward is mostly in a network's own `forward`, or in networks and layers it calls."""
    name, work = next(iter(evidence.long_forward.items()))
    return work.in_network or (work.inner or name).startswith("forward")


def verdict(judgement: Judgement, kind: str) -> Verdict | None:
    """Return the verdict of a kind, whatever its rank."""
    return next((v for v in judgement.verdicts if v.kind == kind), None)


def stage(judgement: Judgement) -> str | None:
    """Return the stage in which batches are late; None where none is known."""
    found = verdict(judgement, "input_bound")
    return None if found is None else found.stage


def held_up_s(evidence: Evidence) -> float:
    """Return the seconds of an epoch that batches are handed over late because workers compute meanwhile."""
    found = evidence.attribution
    if found is None:
        return 0.0
    return found.steps * interpreter.held_up_s(evidence, found)


def late_s(evidence: Evidence) -> float:
    """Return the seconds of an epoch that cheaper production could save at most."""
    found = evidence.attribution
    return 0.0 if found is None else measured.removable_s(found, "waiting") + held_up_s(evidence)


def epoch_s(evidence: Evidence) -> float:
    """Return the seconds of an epoch; 0 where it was not attributed."""
    return 0.0 if evidence.attribution is None else evidence.attribution.epoch_s


def makes(now: LoaderFacts, then: LoaderFacts, evidence: Evidence) -> Effect:
    """Batches made in other times: production by as much, and handing over that waits for computing."""
    found = evidence.attribution
    before, after = measured.production(now), measured.production(then)
    blocked = after.blocked_s / before.blocked_s if before.blocked_s > 0 else 0.0
    computed = after.cpu_s / before.cpu_s if before.cpu_s > 0 else 0.0
    held_s = 0.0 if found is None else interpreter.held_up_s(evidence, found)

    def effect(pipeline: Pipeline) -> Pipeline:
        made = pipeline.produces(
            blocked_s=pipeline.blocked_s * blocked, cpu_s=pipeline.cpu_s * computed
        )
        transfer_s = max(0.0, pipeline.transfer_s - held_s * (1 - computed))
        return replace(made, transfer_s=transfer_s)

    return effect


def precision(evidence: Evidence) -> str:
    """Return the variant that is the training's precision."""
    return next(
        (n for n, _ in evidence.config.variants if variants.get(n).stage == "precision"), "fp32"
    )


def has_variant(evidence: Evidence, name: str) -> bool:
    """Whether a variant is in force."""
    return any(n == name for n, _ in evidence.config.variants)


def is_cuda(evidence: Evidence) -> bool:
    """Whether the training runs on a CUDA device."""
    return evidence.config.device.startswith("cuda")


def device(evidence: Evidence) -> DeviceInfo:
    """Return the device as variants ask for it."""
    found = evidence.environment
    capability: Any = found.get("device_capability")
    return DeviceInfo(
        type=evidence.config.device.partition(":")[0],
        name=str(found.get("device_name") or "the device"),
        capability=None if capability is None else (capability[0], capability[1]),
        bf16_native=bool(found.get("bf16_native")),
        count=int(found.get("device_count") or 1),
    )


def takes(evidence: Evidence, part: str) -> str:
    """Say what a cause takes of an epoch: `12.0 s of an epoch of 40.0 s`."""
    found = evidence.attribution
    assert found is not None
    return of_epoch(evidence, measured.removable_s(found, part))


def of_epoch(evidence: Evidence, seconds: float) -> str:
    """Say it of any seconds of an epoch."""
    found = evidence.attribution
    assert found is not None
    unit = units.time_unit([seconds, found.epoch_s])
    return f"{units.seconds(seconds, unit)} of an epoch of {units.seconds(found.epoch_s, unit)}"


def free_cores(evidence: Evidence) -> int | None:
    """Return the cores that the trainer leaves to loader workers, at least one; None where unknown."""
    if evidence.cores is None:
        return None
    return max(1, evidence.cores - (evidence.config.num_threads if evidence.on_cpu else 1))


def count(number: int, what: str) -> str:
    """Return `1 worker`, `2 workers`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def computes_faster(factor: float) -> Effect:
    """Forward and backward by a factor, and the launching of them."""

    def effect(pipeline: Pipeline) -> Pipeline:
        return replace(
            pipeline,
            compute_s=pipeline.compute_s / factor,
            host_launch_s=pipeline.host_launch_s / factor,
        )

    return effect


def costs_nothing(*names: str) -> Effect:
    """Fields of the pipeline at 0 seconds."""
    return lambda pipeline: replace(pipeline, **dict.fromkeys(names, 0.0))  # type: ignore[arg-type]


def less_often(name: str, every: int) -> Effect:
    """A periodic task every so many epochs."""

    def effect(pipeline: Pipeline) -> Pipeline:
        if name not in pipeline.periodic:
            return pipeline
        task = replace(pipeline.periodic[name], every=every)
        return replace(pipeline, periodic={**pipeline.periodic, name: task})

    return effect
