"""Which of the causes that the rules found holds a training back, or that nothing can be said.

Causes are ranked by the seconds that an epoch would save without each of them alone. Only here is it decided
that a training is bound by computing, balanced, or that what was measured does not conclude.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from perfkit import units
from perfkit.diagnosis import doubts, figures
from perfkit.diagnosis.advice import advise
from perfkit.diagnosis.attribution import attributed
from perfkit.diagnosis.evidence import Attribution, Evidence
from perfkit.diagnosis.naive import naive_reading
from perfkit.diagnosis.rates import Rates, rates, workers_needed
from perfkit.diagnosis.rules.compute_bound import REMOVABLE_SHARE
from perfkit.document import Finding, NaiveReading, Verdict
from perfkit.stats import Interval

BALANCED = 0.85
"""A training that runs at this part of both its loader's and its computing's own rate loses little between
them."""
PARTS = {
    "input_bound": ("waiting", "transfer"),
    "contended": ("contention",),
    "h2d_bound": ("h2d",),
    "sync_bound": ("sync",),
    "host_bound": ("host_launch",),
    "communication_bound": ("communication",),
    "periodic_bound": ("periodic", "eval"),
    "startup_bound": ("startup",),
}
"""What of an epoch each cause takes, and no other does."""
NO_CAUSES = ("compute_bound", "disturbed")
"""Kinds that nothing is gained by taking away, or that are not the training's."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What holds a training back."""

    primary: str
    """Kind of the first verdict, or `balanced`, or `inconclusive`."""
    verdicts: tuple[Verdict, ...] = ()
    """The primary one first, then ranked by removable seconds."""
    inconclusive_because: str | None = None
    """And what to run to conclude."""
    naive: NaiveReading | None = None
    workers_needed: int | None = None
    actual_samples_per_sec: float | None = None
    compute_samples_per_sec: float | None = None
    loader_samples_per_sec: float | None = None


def judge(evidence: Evidence) -> Judgement:
    """Ask every rule about the evidence, attributed if it is not yet, and decide."""
    found = attributed(evidence)
    evidence = replace(evidence, attribution=found)
    if found is None:
        return Judgement(
            primary="inconclusive",
            inconclusive_because=(
                "no epoch could be put together from what was measured; look at what was lost, then diagnose"
                " again"
            ),
        )
    verdicts = sorted(
        (_verdict(one, found) for one in advise(evidence)),
        key=lambda v: (-_gained_s(v), -v.share.value),
    )
    speeds = rates(evidence, found)
    primary, because = _decide(evidence, found, verdicts, speeds)
    if primary != "compute_bound":
        verdicts = [v for v in verdicts if v.kind != "compute_bound"]
    verdicts.sort(key=lambda v: v.kind != primary)
    stage = next((v.stage for v in verdicts if v.kind == "input_bound"), None)
    return Judgement(
        primary=primary,
        verdicts=tuple(verdicts),
        inconclusive_because=because,
        naive=naive_reading(evidence, found, primary, verdicts[0] if verdicts else None),
        workers_needed=workers_needed(evidence, found, stage),
        actual_samples_per_sec=speeds.actual,
        compute_samples_per_sec=speeds.compute,
        loader_samples_per_sec=speeds.loader,
    )


def _verdict(finding: Finding, found: Attribution) -> Verdict:
    assert finding.share is not None, f"{finding.kind}: a cause says how much of the epoch it takes"
    own = figures.together(found, PARTS.get(finding.kind, ()))
    share = Interval(finding.share)
    if own is not None and own.low is not None and own.high is not None:
        less, more = own.value - own.low, own.high - own.value
        share = Interval(
            finding.share,
            max(0.0, finding.share - less / found.epoch_s),
            min(1.0, finding.share + more / found.epoch_s),
        )
    return Verdict(
        kind=finding.kind,
        severity=finding.severity,
        share=share,
        seconds_per_epoch=finding.share * found.epoch_s,
        stage=finding.stage,
        where=finding.where,
        flags=finding.flags,
        removable_s=finding.removable_s,
        evidence=finding.evidence or (finding.message,),
    )


def _gained_s(verdict: Verdict) -> float:
    """What an epoch gains without a cause alone, by which causes are ranked.

    Where two causes share their work, as waiting for a decoder and contending with it do, both would go with
    it; here each counts for its own part. Nothing of what cannot be told.
    """
    if verdict.removable_s is None or verdict.kind in NO_CAUSES:
        return 0.0
    return min(verdict.removable_s.value, verdict.seconds_per_epoch)


def _is_cause(verdict: Verdict) -> bool:
    """Whether it can be what holds a training back: moderate at least, and something is known to be gained.

    Of time that is in nothing that is timed only much is: a little of it every loop has.
    """
    if _gained_s(verdict) <= 0 or verdict.severity == "low":
        return False
    return verdict.kind != "untracked" or verdict.severity == "high"


def _decide(
    evidence: Evidence, found: Attribution, verdicts: Sequence[Verdict], speeds: Rates
) -> tuple[str, str | None]:
    """Return the primary verdict, and why there is none."""
    causes = [verdict for verdict in verdicts if _is_cause(verdict)]
    known_s = [_gained_s(verdict) for verdict in causes if verdict.kind != "untracked"]
    because = doubts.of_disturbance(evidence) or doubts.of_coverage(evidence, found, known_s)
    if because is not None:
        return "inconclusive", because
    largest_s = _gained_s(causes[0]) if causes else 0.0
    because = doubts.of_contention(evidence, found, largest_s) or doubts.of_the_difference(
        evidence, found, largest_s
    )
    because = because or doubts.of_the_lost(
        evidence, found, causes[0].kind if causes else None, largest_s
    )
    if because is not None:
        return "inconclusive", because
    if not causes and _is_balanced(speeds):
        return "balanced", None
    if _little_s(found, causes) < REMOVABLE_SHARE * found.epoch_s:
        if any(verdict.kind == "compute_bound" for verdict in verdicts):
            return "compute_bound", None
        if not causes:
            return "inconclusive", doubts.of_computing(evidence, found)
    if causes:
        return causes[0].kind, None
    return "inconclusive", _gap(evidence, found, speeds)


def _little_s(found: Attribution, causes: Sequence[Verdict]) -> float:
    """All that is removable, the causes among it that are in no part of their own."""
    others = [v for v in causes if not any(part in found.removable_s for part in _parts(v))]
    return sum(one.value for one in found.removable_s.values()) + sum(map(_gained_s, others))


def _parts(verdict: Verdict) -> tuple[str, ...]:
    return PARTS.get(verdict.kind, ())


def _is_balanced(speeds: Rates) -> bool:
    """Whether neither the loader nor computing alone would be much faster than they are together."""
    if speeds.actual is None or speeds.loader is None or speeds.compute is None:
        return False
    return speeds.actual >= BALANCED * max(speeds.loader, speeds.compute)


def _gap(evidence: Evidence, found: Attribution, speeds: Rates) -> str:
    """What stands between a training without a large cause and a balanced one."""
    total = units.share(sum(one.value for one in found.removable_s.values()) / found.epoch_s)
    head = f"no single cause is large, and together they are {total} of the epoch"
    known = [
        f"{what} {units.rate(rate)}"
        for what, rate in (
            ("the loader alone delivers", speeds.loader),
            ("computing alone takes", speeds.compute),
        )
        if rate is not None
    ]
    missing = [
        what
        for what, rate in (("the loader", speeds.loader), ("computing", speeds.compute))
        if rate is None
    ]
    if speeds.actual is not None and known:
        told = f": it trains {units.rate(speeds.actual)} samples a second, {' and '.join(known)}"
    else:
        told = ""
    longer = doubts.longer(evidence)
    if missing and not evidence.attached:
        return f"{head}{told}; {longer} to measure {' and '.join(missing)} alone"
    return f"{head}{told}; {longer}, which narrows the intervals"
