"""Why what was measured does not conclude, in words, and what to run to conclude. None where it does."""

from __future__ import annotations

from collections.abc import Sequence

from perfkit import units
from perfkit.diagnosis import figures, witnesses
from perfkit.diagnosis.attribution import ALL_EDGES, lost_parts, per_step_s
from perfkit.diagnosis.evidence import Attribution, Evidence
from perfkit.diagnosis.rules import contended, periodic_bound, startup_bound
from perfkit.diagnosis.rules.compute_bound import contention_is_open
from perfkit.stats import Interval

LEAST_COVERAGE = 0.80
"""A verdict on less of the epoch than this is one on a part."""
UNEXPLAINED_SHARE = 0.10
"""Of a step; more that neither waits nor contention explain could be the cause itself."""
LOST_SHARE = periodic_bound.HIGH_SHARE
"""What was lost of an epoch is taken for this part of it at most, where nothing else is known of it."""
_FIRST_START = ("worker_start", "first_batch")
"""What starting an epoch costs when workers and caches are new: no later one takes longer."""
_PARTS = "as periodic work or a part of step(model, batch)"


def longer(evidence: Evidence) -> str:
    """Return what gives more of the same measurement."""
    return "watch more of it" if evidence.attached else "run with a longer --time-budget"


def of_disturbance(evidence: Evidence) -> str | None:
    """Somebody else's load, which concerns every verdict."""
    blocks = evidence.stretches
    if witnesses.disturbed_share(evidence) > witnesses.DISTURBED_SHARE:
        count = sum(block.disturbed for block in blocks)
        return (
            f"somebody else's load ran beside {count} of {len(blocks)} blocks; run again when the machine is"
            " quiet"
        )
    return None


def of_coverage(evidence: Evidence, found: Attribution, gains_s: Sequence[float]) -> str | None:
    """Time that nothing accounts for, where it could be a larger cause than the largest, or a part of one.

    Args:
        gains_s: what an epoch gains without each cause that is known, the largest first.
    """
    largest_s, second_s, *_ = (*gains_s, 0.0, 0.0)
    if largest_s >= second_s + abs(found.seconds["other"]) > 0:
        return None
    # what was seen to be in a function of the script's own is accounted for
    if found.coverage + (1 - found.coverage) * evidence.named_share < LEAST_COVERAGE:
        other = found.seconds["other"]
        where = "with perfkit.phase(NAME)" if evidence.attached else _PARTS
        return (
            f"only {units.share(found.coverage)} of the epoch is in what is timed, and"
            f" {units.seconds(abs(per_step_s(evidence, found, other)))} of a step of"
            f" {units.seconds(found.step_s)} in nothing of it; name that work, {where}, and run again"
        )
    return None


def of_contention(evidence: Evidence, found: Attribution, largest_s: float) -> str | None:
    """Witnesses of contention that do not conclude, where it could be the largest cause.

    Args:
        largest_s: seconds of an epoch of the largest other cause, contention itself among them.
    """
    witness = witnesses.contention(evidence)
    step_s = found.step_s or 0.0
    if witness is None or step_s <= 0:
        return None
    values = [one.value for one in (witness.arms, witness.run_delay) if one is not None]
    each_s = min(max(values, default=0.0), step_s)
    moderate_s = per_step_s(evidence, found, contended.MODERATE_SHARE * found.epoch_s)
    others_s = per_step_s(evidence, found, largest_s)
    if each_s < moderate_s or each_s < others_s * (1 - 1e-9):
        return None
    arms, delay = witness.arms, witness.run_delay
    if arms is not None and delay is not None and _disagree(arms, delay, moderate_s):
        return (
            "the witnesses of contention disagree: beside running workers a step takes"
            f" {figures.with_spread(arms)} longer than beside idle ones, and the kernel's run delay says"
            f" {figures.with_spread(delay)}; run again, or compare numbers of workers: perfkit bench --sweep"
            " num_workers=0,1,2"
        )
    if delay is None and witness.palindromes < witnesses.LEAST_PALINDROMES:
        count = witness.palindromes
        return (
            f"{count} palindrome{'' if count == 1 else 's'} of arms {'is' if count == 1 else 'are'} too few"
            f" for what workers cost the training, {witnesses.LEAST_PALINDROMES} are needed;"
            f" {longer(evidence)}"
        )
    said = witness.said
    if said is not None and said.value >= moderate_s and not figures.is_sure(said):
        return (
            f"what workers cost the training is not known well enough: {figures.with_spread(said)} of a step"
            f" of {units.seconds(step_s)}; {longer(evidence)}"
        )
    return None


def _disagree(one: Interval, other: Interval, moderate_s: float) -> bool:
    """Whether one says that it is worth a verdict and the other, beyond their intervals, that it is not."""
    less, more = sorted((one, other), key=lambda interval: interval.value)
    high = less.value if less.high is None else less.high
    low = more.value if more.low is None else more.low
    return high < low and high < moderate_s <= more.value


def of_the_difference(evidence: Evidence, found: Attribution, largest_s: float) -> str | None:
    """A step that is longer than a replayed one, and neither waits nor contention say why."""
    rest = witnesses.unexplained(evidence)
    step_s = found.step_s or 0.0
    if rest is None or rest.low is None or step_s <= 0:
        return None
    others_s = per_step_s(evidence, found, largest_s)
    if rest.low < max(UNEXPLAINED_SHARE * step_s, others_s):
        return None
    idle = found.replay_step_s
    replayed = "" if idle is None else f" of {units.seconds(idle.value)}"
    delay = witnesses.run_delay(evidence)
    kernel = "" if delay is None else f" (the kernel's run delay says {figures.with_spread(delay)})"
    return (
        f"a step of {units.seconds(step_s)} is {figures.with_spread(rest)} longer than a step{replayed} with"
        f" its batches there, beyond what it waits and what running workers cost{kernel}; compare numbers of"
        " workers: perfkit bench --sweep num_workers=0,1,2"
    )


def of_the_lost(
    evidence: Evidence, found: Attribution, kind: str | None, largest_s: float
) -> str | None:
    """Parts of the epoch that were not measured, where they could be a larger cause than the largest known.

    Args:
        kind: of that one; what was lost of its own parts only makes it larger. None where there is none.
        largest_s: the seconds of an epoch that it takes.
    """
    could_s = {
        name: seconds
        for name, (of_kind, seconds) in _at_most_s(evidence, found).items()
        if of_kind != kind and seconds > largest_s and _is_moderate(seconds, found)
    }
    if not could_s:
        return None
    known = (
        f"the largest known cause takes {units.seconds(largest_s)} of an epoch"
        if largest_s > 0
        else "no other cause is large"
    )
    again = (
        "run it to its end"
        if "interrupted" in evidence.lost.values()
        else "look at what was lost, then diagnose again"
    )
    return (
        f"what {figures.listed(could_s)} takes was not measured and may be more: {known}; {again}"
    )


def _at_most_s(evidence: Evidence, found: Attribution) -> dict[str, tuple[str, float]]:
    """By lost part: the kind of cause that it would be, and the most seconds of an epoch that it may take."""
    assumed_s = found.epoch_s * LOST_SHARE / (1 - LOST_SHARE)
    costs = evidence.row.startup_s
    started = [costs[name] for name in _FIRST_START if name in costs]
    most = {}
    if lost_parts(evidence.lost, "startup"):
        start_s = sum(started) if started else assumed_s
        most["the start of an epoch"] = ("startup_bound", start_s)
    between = {*lost_parts(evidence.lost, "eval"), *lost_parts(evidence.lost, "periodic")}
    for name in evidence.lost:
        if name in between:
            called = "evaluation and periodic work" if name == ALL_EDGES else name
            most[called] = ("periodic_bound", assumed_s)
    return most


def _is_moderate(seconds: float, found: Attribution) -> bool:
    return seconds >= startup_bound.MODERATE_SHARE * (found.epoch_s + seconds)


def of_computing(evidence: Evidence, found: Attribution) -> str:
    """Why a training without a cause is not said to be bound by computing."""
    if contention_is_open(evidence, found):
        return (
            "workers and training share all cores, and neither arms nor run delay tell what they cost each"
            f" other; {longer(evidence)}, or on Linux"
        )
    if "waiting" not in found.removable_s:
        return (
            "how long the training waits for its batches was not recorded; run it with its loader as a"
            " torch DataLoader"
        )
    share = units.share(found.seconds["compute"] / found.epoch_s)
    return f"no cause is large, and computing takes only {share} of the epoch; {longer(evidence)}"
