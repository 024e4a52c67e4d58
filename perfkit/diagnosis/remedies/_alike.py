"""Proposals that several remedies make alike."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Pipeline, pipeline_of
from perfkit.diagnosis.remedies import _seen
from perfkit.diagnosis.remedies._contract import Proposal


def half_as_often(
    evidence: Evidence, task: str, *, what: str, setting: str, snippet: str
) -> Proposal | None:
    """Return a periodic task with twice the epochs between two, where it takes time.

    Args:
        setting: the setting that says how many epochs lie between two.
        snippet: with `{every}` for their number.
    """
    now, found = pipeline_of(evidence), evidence.attribution
    if now is None or found is None or task not in now.periodic:
        return None
    cost_s, every = now.periodic[task].epoch_s, 2 * evidence.config.count_of(setting)
    if every == 0 or cost_s < _seen.OTHER_SHARE * found.epoch_s:
        return None
    return Proposal(
        why=f"{what} every {_seen.count(every // 2, 'epoch')} cost"
        f" {_seen.of_epoch(evidence, cost_s)}.",
        risk="There are half as many of them to look at; the training stays the same.",
        snippet=snippet.format(every=every),
        variant=f"{setting}={every}",
        effect=_seen.less_often(task, every),
    )


def lower_precision(
    evidence: Evidence,
    variant: str,
    *,
    than: Collection[str],
    at_most: float,
    risk: str,
    snippet: str,
) -> Proposal | None:
    """Return a precision that matrix units are faster in, where arithmetic takes time in a wider one.

    Args:
        than: the precisions that it is faster than.
        at_most: how many times faster products can become.
    """
    now = _seen.precision(evidence)
    if now not in than or _seen.share(evidence, "compute") < _seen.INPUT_SHARE:
        return None
    return Proposal(
        why=f"Forward, backward and update in {now} take {_seen.takes(evidence, 'compute')}.",
        risk=risk,
        snippet=snippet,
        variant=variant,
        effect=_seen.computes_faster(at_most),
        basis="bound",
        changes_training=True,
    )


def smaller_network(
    evidence: Evidence, judgement: Judgement, variant: str, *, has: str, left: float, snippet: str
) -> Proposal | None:
    """Return a smaller network of ours, where the network takes the time.

    Args:
        has: what it has more of now, in words.
        left: the part of its arithmetic that is left.
    """
    if evidence.config.arch not in _seen.IMAGES:
        return None
    if judgement.primary not in ("compute_bound", "balanced"):
        return None

    def effect(pipeline: Pipeline) -> Pipeline:
        computes = _seen.computes_faster(1 / left)(pipeline)
        return replace(computes, update_s=pipeline.update_s * left)

    return Proposal(
        why=f"With {has} computing takes {_seen.takes(evidence, 'compute')}.",
        risk="It is another network, which may be less accurate.",
        snippet=snippet,
        variant=variant,
        effect=effect,
        basis="bound",
        changes_training=True,
    )


def loader_snippet(**settings: object) -> str:
    """Return lines that make a loader with these settings."""
    arguments = ["dataset", "batch_size=batch_size", "shuffle=True"]
    arguments += [f"{name}={value}" for name, value in settings.items()]
    return "\n".join(["loader = DataLoader(", *(f"    {one}," for one in arguments), ")\n"])
