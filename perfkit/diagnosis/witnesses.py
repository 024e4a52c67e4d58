"""What the timed blocks say of waiting and of contention, each witness by itself. Seconds of a step.

Contention has two witnesses. The arms: a replayed step beside running workers less one beside idle ones, by
palindromes. The kernel: how long the trainer's thread could run and had no core, in the real arm less in the
replay arm. The kernel sees neither memory bandwidth nor stolen time; the arms need time to run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from perfkit.diagnosis.evidence import Evidence, Stretch
from perfkit.diagnosis.figures import is_sure
from perfkit.stats import Interval, mean_interval

LEAST_PALINDROMES = 6
"""Fewer palindromes of arms have no interval worth having."""
DISTURBED_SHARE = 0.25
"""With somebody else's load beside more of the blocks than this, nothing is said of contention."""
FULL = 0.9
"""From this part of the cores on, the workers and the trainer together leave none free."""
STALLED_SHARE = 0.8
"""From this part of all waiting in a tenth of the steps on, it is single stalls."""
LEAST_STEPS = 20
"""Fewer steps have no tenth to speak of."""


def of_arm(evidence: Evidence, arm: str) -> list[Stretch]:
    """Return the blocks of one arm."""
    return [stretch for stretch in evidence.stretches if stretch.arm == arm]


def disturbed_share(evidence: Evidence) -> float:
    """Return the part of the blocks that ran beside somebody else's load."""
    blocks = evidence.stretches
    return fmean(block.disturbed for block in blocks) if blocks else 0.0


def per_palindrome(
    evidence: Evidence, arm: str, value: Callable[[Stretch], float]
) -> dict[int, float]:
    """Return the mean of a value over an arm's blocks, by palindrome."""
    each: dict[int, list[float]] = {}
    for stretch in of_arm(evidence, arm):
        if stretch.step_s:
            each.setdefault(stretch.palindrome, []).append(value(stretch))
    return {number: fmean(values) for number, values in each.items()}


def between_arms(
    evidence: Evidence, arm: str, value: Callable[[Stretch], float]
) -> tuple[float, ...]:
    """Return an arm's value less the replay arm's, of every palindrome that has both."""
    ours, idle = (per_palindrome(evidence, name, value) for name in (arm, "replay"))
    return tuple(ours[number] - idle[number] for number in sorted(ours.keys() & idle.keys()))


def _step_s(stretch: Stretch) -> float:
    return stretch.mean_step_s


def differential(evidence: Evidence) -> dict[str, Interval]:
    """What input costs (real − replay) and what contention does (replay_running − replay)."""
    found = {}
    for name, arm in (("input", "real"), ("contention", "replay_running")):
        pairs = between_arms(evidence, arm, _step_s)
        if pairs:
            found[name] = mean_interval(pairs)
    return found


@dataclass(frozen=True, kw_only=True)
class Contention:
    """What the loader's workers cost the trainer, by each witness; None where it is not there."""

    arms: Interval | None
    palindromes: int
    """Behind `arms`."""
    run_delay: Interval | None

    @property
    def said(self) -> Interval | None:
        """The arms' word where there are enough of them and it lies above nothing, else the kernel's.

        Without the kernel's it is theirs, however wide.
        """
        enough = self.arms is not None and self.palindromes >= LEAST_PALINDROMES
        if enough and is_sure(self.arms):
            return self.arms
        return self.run_delay or self.arms


def contention(evidence: Evidence) -> Contention | None:
    """Return what both witnesses say; None where nobody could contend, or the machine was not ours."""
    if evidence.config.num_workers == 0 or disturbed_share(evidence) > DISTURBED_SHARE:
        return None
    pairs = between_arms(evidence, "replay_running", _step_s)
    return Contention(
        arms=mean_interval(pairs) if pairs else None,
        palindromes=len(pairs),
        run_delay=run_delay(evidence),
    )


def run_delay(evidence: Evidence) -> Interval | None:
    """Seconds of a real step that the trainer had no core, less those beside idle workers."""
    delays = [(s.run_delay_s, s) for s in of_arm(evidence, "real") if s.run_delay_s is not None]
    if not delays:
        alone = evidence.row.run_delay_s
        return None if alone is None else Interval(alone)
    idle = [s.run_delay_s for s in of_arm(evidence, "replay") if s.run_delay_s is not None]
    quiet = fmean(idle) if idle else 0.0
    return over_steps([d - quiet for d, _ in delays], [len(s.step_s) for _, s in delays])


def unexplained(evidence: Evidence) -> Interval | None:
    """What a real step takes longer than a replayed one beyond its wait and either witness of contention.

    By palindromes, so that a stall in one of them is in both sides of the difference.
    """
    by_arm = [of_arm(evidence, arm) for arm in ("real", "replay")]
    if not all(by_arm) or any(len(s.wait_s) != len(s.step_s) for arm in by_arm for s in arm):
        return None
    busy = between_arms(evidence, "real", _busy_s)
    if not busy:
        return None
    running, delay = between_arms(evidence, "replay_running", _step_s), run_delay(evidence)
    contended = max(fmean(running) if running else 0.0, 0.0 if delay is None else delay.value)
    return mean_interval([seconds - contended for seconds in busy])


def _busy_s(stretch: Stretch) -> float:
    """A mean step without its wait, production that was put off among it."""
    return (min(stretch.wall_s, sum(stretch.step_s)) - sum(stretch.wait_s)) / len(stretch.step_s)


def over_steps(values: Sequence[float], steps: Sequence[int]) -> Interval:
    """Return the mean over all steps of values that are means of blocks, its interval over blocks."""
    count = sum(steps)
    value = sum(v * n for v, n in zip(values, steps, strict=True)) / count if count else 0.0
    spread = mean_interval(values)
    if spread.low is None or spread.high is None:
        return Interval(value)
    return Interval(value, min(spread.low, value), max(spread.high, value))


def cores_full(evidence: Evidence) -> bool | None:
    """Whether workers and trainer use all cores there are; None where that is not known."""
    workers, cores = _workers_cores(evidence), evidence.cores
    if cores is None or evidence.config.num_workers == 0 or workers is None:
        return None
    waits, step_s = evidence.row.exposed_wait_s or 0.0, evidence.step_s
    busy = max(0.0, 1 - waits / step_s) if step_s else 1.0
    threads = evidence.config.num_threads if evidence.on_cpu else 1
    return workers + threads * busy >= FULL * cores


def _workers_cores(evidence: Evidence) -> float | None:
    """Cores that the workers use: measured round the real blocks, else as their batches tell it."""
    told = [s for s in of_arm(evidence, "real") if s.workers_cpu_s is not None]
    wall_s = sum(s.wall_s for s in told)
    if wall_s > 0:
        return sum(s.workers_cpu_s or 0.0 for s in told) / wall_s
    facts = evidence.loader
    if facts is None or facts.busy_share is None:
        return None
    made_s = (facts.made_s or 0.0) + (facts.handover_s or 0.0)
    computes = 1.0
    if facts.fetch_cpu_s is not None and facts.collate_cpu_s is not None and made_s > 0:
        used_s = facts.fetch_cpu_s + facts.collate_cpu_s + (facts.serialise_cpu_s or 0.0)
        computes = min(1.0, used_s / made_s)
    return evidence.config.num_workers * facts.busy_share * computes


@dataclass(frozen=True, kw_only=True)
class Stalls:
    """Waiting that is in few steps."""

    every: int
    """Steps from one to the next."""
    longest_s: float
    share: float
    """Part of all waiting that is in the tenth of the steps that waited longest."""


def stalls(evidence: Evidence) -> Stalls | None:
    """Return single stalls, where nearly all waiting is theirs; None where it is spread, or not known."""
    waits = sorted((w for s in of_arm(evidence, "real") for w in s.wait_s), reverse=True)
    total = sum(waits)
    if len(waits) < LEAST_STEPS or total <= 0:
        return None
    share = sum(waits[: len(waits) // 10]) / total
    if share < STALLED_SHARE:
        return None
    long = sum(wait >= waits[0] / 2 for wait in waits)
    return Stalls(every=round(len(waits) / long), longest_s=waits[0], share=share)


def free_cores(evidence: Evidence) -> int | None:
    """Return the cores that the trainer leaves to workers, at least one; None where unknown."""
    if evidence.cores is None:
        return None
    return max(1, evidence.cores - (evidence.config.num_threads if evidence.on_cpu else 1))
