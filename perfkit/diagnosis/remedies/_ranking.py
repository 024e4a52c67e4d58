"""Asking every remedy there is, and ranking what they save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from perfkit import discovery
from perfkit.diagnosis import measured
from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.judge import Judgement
from perfkit.diagnosis.predict import Effect, Pipeline, predict
from perfkit.diagnosis.remedies._command import command
from perfkit.diagnosis.remedies._contract import Proposal
from perfkit.document import Remedy
from perfkit.stats import EFFECT, Interval


def remedies(
    evidence: Evidence, judgement: Judgement, trials: Mapping[str, Interval] | None = None
) -> tuple[Remedy, ...]:
    """Return what is predicted to save at least 1 % of an epoch, most seconds at the low end first.

    Of those that save as much there, as bounds do, what answers the primary verdict comes first. Those that
    change the training's result follow after the others. Where a saving has no interval its value stands for
    the low end. There is none where nothing was concluded: what was measured there is not to be
    trusted.

    Args:
        trials: by variant, how many times faster a step with its batches there was in a short trial; it
            takes the place of a bound.

    Raises:
        UsageError: a remedy breaks the contract; the message names it.
    """
    found = [
        remedy
        for name, proposal in proposals(evidence, judgement, trials or {}).items()
        if (remedy := priced(name, evidence, proposal)) is not None
    ]
    return tuple(sorted(found, key=lambda remedy: rank(remedy, judgement)))


def proposals(
    evidence: Evidence, judgement: Judgement, trials: Mapping[str, Interval] | None = None
) -> dict[str, Proposal]:
    """Return every proposal by name, those tried already as they came out. For raises see `remedies`."""
    if evidence.attribution is None or judgement.primary == "inconclusive":
        return {}
    found = {}
    for name in discovery.names("remedies"):
        proposal = _ask(name, evidence, judgement)
        if proposal is not None:
            found[name] = _tried(proposal, trials or {})
    return found


def _ask(name: str, evidence: Evidence, judgement: Judgement) -> Proposal | None:
    call, kept = "propose(evidence, judgement)", "what was measured is kept"
    return discovery.ask("remedies", name, call, evidence, judgement, answer=Proposal, kept=kept)


def _tried(proposal: Proposal, trials: Mapping[str, Interval]) -> Proposal:
    trial = trials.get(proposal.variant or "")
    if trial is None or proposal.basis != "bound":
        return proposal
    return replace(proposal, basis="trialled", effect=_steps_faster(trial))


def _steps_faster(trial: Interval) -> Effect:
    """The training side without the loader by the factor of a trial, each end with its own."""

    def effect(pipeline: Pipeline) -> Pipeline:
        left = 1 / measured.at(trial, pipeline.end)
        return replace(
            pipeline,
            compute_s=pipeline.compute_s * left,
            update_s=pipeline.update_s * left,
            h2d_s=pipeline.h2d_s * left,
            host_launch_s=pipeline.host_launch_s * left,
            hidden_s=pipeline.hidden_s * left,
            sync_s=pipeline.sync_s * left,
            communication_s=pipeline.communication_s * left,
            fixed_s=pipeline.fixed_s * left,
        )

    return effect


def priced(name: str, evidence: Evidence, proposal: Proposal) -> Remedy | None:
    """Return a proposal as a remedy with its figures; None where it saves less than an effect."""
    bound = proposal.basis == "bound"
    effects = () if bound else (proposal.effect,)
    predicted = predict(evidence, effects, (proposal.effect,) if bound else ())
    if predicted is None or predicted.speedup.value < 1 + EFFECT:
        return None
    return Remedy(
        name=name,
        basis=proposal.basis,
        variant=proposal.variant,
        why=proposal.why,
        risk=proposal.risk,
        command=command(evidence, proposal),
        predicted_speedup=predicted.speedup,
        saves_s=predicted.saves_s,
        snippet=proposal.snippet,
        changes_training=proposal.changes_training,
        answers=_answers(name),
    )


def _answers(name: str) -> tuple[str, ...]:
    """The verdicts that a remedy's file names; of several remedies at once none."""
    if name not in discovery.names("remedies"):
        return ()
    return tuple(getattr(discovery.load("remedies", name), "ANSWERS", ()))


def rank(remedy: Remedy, judgement: Judgement) -> tuple[bool, float, bool, float, str]:
    """Sort key: those that change the training last, else most seconds saved at the low end first.

    Of as many seconds what answers the primary verdict comes first.
    """
    saves = remedy.saves_s
    assert saves is not None
    low = saves.value if saves.low is None else saves.low
    primary = next((v for v in judgement.verdicts if v.kind == judgement.primary), None)
    other = primary is None or not remedy.answers_to(primary)
    return remedy.changes_training, -low, other, -saves.value, remedy.name
