"""When a verdict is said while the script still runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfkit.document import Document
from perfkit.engine.phases import step_means
from perfkit.records import StepRecord
from perfkit.study.attached.result import AttachedRun

ENOUGH_STEPS = 200
"""Steps after which a verdict is said if their halves agree."""
AGREE_WITHIN = 0.05
"""Of the epoch; by so much the same part of it may differ between the halves."""
LATEST_S = 60.0
"""Seconds of training after which it is said whatever the halves say."""
LEAST_STEPS = 20
"""And no verdict rests on fewer steps than these."""
AGAIN = 2.0
"""What was said is looked at again whenever the training has gone on for so many times as long."""


def halves_differ(run: AttachedRun) -> float:
    """Return by how much of the epoch the two halves of the steady steps differ in any phase."""
    steps = run.loop.steady
    half = len(steps) // 2
    if half == 0:
        return 1.0
    epoch_s = sum(run.row.epoch_parts_s.values())
    of_steps = run.row.epoch_parts_s.get("steps", 0.0) / epoch_s if epoch_s > 0 else 1.0
    before, after = (_shares(steps[:half]), _shares(steps[half:]))
    names = {*before, *after}
    return of_steps * max(abs(before.get(n, 0.0) - after.get(n, 0.0)) for n in names)


def _shares(steps: Sequence[StepRecord]) -> Mapping[str, float]:
    phases_s = step_means(steps).phases_s
    total_s = sum(phases_s.values())
    return {name: s / total_s for name, s in phases_s.items()} if total_s > 0 else {"other": 1.0}


def can_say(run: AttachedRun, trained_s: float) -> bool:
    """Whether a verdict can be said of a training that goes on.

    Args:
        trained_s: seconds since its first step.
    """
    steps = len(run.loop.steady)
    if trained_s >= LATEST_S:
        return steps >= LEAST_STEPS
    return steps >= ENOUGH_STEPS and halves_differ(run) <= AGREE_WITHIN


def gist(document: Document) -> tuple[str, str | None]:
    """Return what of a verdict is worth saying again when it changes: its kind and its stage."""
    found = document.diagnosis
    if found is None:
        return "", None
    primary = next((v for v in found.verdicts if v.kind == found.primary), None)
    return found.primary, None if primary is None else primary.stage


@dataclass
class Moments:
    """When to look at a run that goes on: reading it all takes time that its training may want.

    A look at 200 steps, then each time that there are half as many more; at 60 seconds; once something was
    said, whenever the training has gone on for twice as long.
    """

    said_s: float | None = None
    """After how long something was said last, or looked at since."""
    _looked_at: int = 0

    def due(self, steps: int, trained_s: float) -> bool:
        """Whether it is time for a look."""
        if self.said_s is not None:
            return trained_s >= max(AGAIN * self.said_s, self.said_s + LATEST_S / 2)
        enough = max(ENOUGH_STEPS, self._looked_at * 3 // 2)
        return steps > enough or trained_s >= LATEST_S

    def looked(self, steps: int, trained_s: float, *, said: bool) -> None:
        """Note that a look was had, and whether anything was said by then."""
        self._looked_at = steps
        if said or self.said_s is not None:
            self.said_s = trained_s
