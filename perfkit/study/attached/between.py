"""What a training loop does between its steps and between its epochs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from perfkit.records import StepRecord
from perfkit.study.attached import intervals
from perfkit.study.attached.intervals import Intervals, end_of
from perfkit.study.attached.passes import Pass
from perfkit.study.attached.work import BETWEEN_EPOCHS, BETWEEN_STEPS

_S = 1e-9


@dataclass(frozen=True)
class Between:
    """The time of a training loop that is in none of its steps.

    Args:
        steps: all of them, in order, as they were recorded.
        epochs: passes of the loader whose passes are the epochs.
        begun: all passes whose batches are steps or parts of steps.
    """

    steps: Sequence[StepRecord]
    epochs: Sequence[Pass]
    begun: Sequence[Pass]
    saving: Intervals
    evaluating: Intervals

    def per_epoch(self, steps_per_epoch: int) -> dict[str, float]:
        """Return the seconds of an epoch by what they are spent on: evaluation, checkpoints, other work.

        What lies between two epochs is a mean of what was seen there, the first time only where there is
        no other; what lies within them goes by the number of steps. Of an only epoch what follows its
        steps is part of it.
        """
        since = self.epochs[min(2, len(self.epochs)) - 1].first_ns
        until = end_of(self.steps[-1])
        edges = [edge for edge in self._edges if edge[0] >= since] or self._edges
        within = self._spent(since, until)
        for edge in self._edges:
            if edge[0] >= since:
                _add(within, self._spent(*edge), -1.0)
        within[BETWEEN_STEPS] = sum(
            self._left_s(step, following)
            for step, following in zip(self.steps, self.steps[1:], strict=False)
            if step.start_ns >= since and following.start_ns not in self._begins
        )
        count = sum(step.start_ns >= since for step in self.steps)
        only = len(self.epochs) < 2
        found = dict[str, float]()
        _add(found, within, 1.0 if only else steps_per_epoch / max(1, count))
        for edge in edges:
            _add(found, self._spent(*edge), 1 / len(edges))
            left_s = self._left_s(*self._of_edge[edge])
            _add(found, {BETWEEN_EPOCHS: left_s}, 1 / len(edges))
        if only:
            _add(found, self._spent(until, self._last_ns))
        return {name: seconds for name, seconds in found.items() if seconds > 0}

    def after_s(self) -> list[float]:
        """Return what is done after each step but the last; nothing where another epoch follows."""
        return [
            0.0 if following.start_ns in self._begins else self._left_s(step, following)
            for step, following in zip(self.steps, self.steps[1:], strict=False)
        ]

    def start_s(self, mean_s: float, steady: set[int]) -> float | None:
        """Return what the start of an epoch takes beyond its steps; None before a second one has begun.

        Starting workers, the wait for a first batch that is longer than others, and stopping workers.

        Args:
            mean_s: seconds of a steady step.
            steady: when each of the steady steps began.
        """
        if len(self.epochs) < 2:
            return None
        total_s = 0.0
        since = end_of(next(iter(self._of_edge.values()))[0])
        for one in self.begun:
            if one.began_ns >= since:
                total_s += one.iter_s
                if one.trained and one.steps[0].start_ns not in steady:
                    total_s += one.steps[0].step_s - mean_s
        ends = [self._ending_s(step, following) for step, following in self._of_edge.values()]
        return total_s / (len(self.epochs) - 1) + fmean(ends)

    @cached_property
    def _begins(self) -> set[int]:
        """When the first steps of later epochs began."""
        return {one.first_ns for one in self.epochs[1:]}

    @cached_property
    def _of_edge(self) -> dict[tuple[int, int], tuple[StepRecord, StepRecord]]:
        """By the stretch between two epochs, the steps before and after it."""
        return {
            (end_of(step), following.start_ns): (step, following)
            for step, following in zip(self.steps, self.steps[1:], strict=False)
            if following.start_ns in self._begins
        }

    @property
    def _edges(self) -> list[tuple[int, int]]:
        return list(self._of_edge)

    @property
    def _last_ns(self) -> int:
        last = [end for found in (self.saving, self.evaluating) for _, end in found.stretches]
        return max([end_of(self.steps[-1]), *last])

    @cached_property
    def _starting(self) -> Intervals:
        return intervals.starting(self.begun)

    @cached_property
    def _ended_ns(self) -> dict[int, int]:
        """By the begin of the last step of a pass, when the pass was found to be exhausted."""
        return {
            p.steps[-1].start_ns: p.ended_ns
            for p in self.begun
            if p.steps and p.ended_ns is not None
        }

    def _spent(self, start: int, end: int) -> dict[str, float]:
        return {
            "evaluation": self.evaluating.within(start, end),
            "checkpoint": self.saving.within(start, end),
        }

    def _left_s(self, step: StepRecord, following: StepRecord) -> float:
        """What lies between two steps besides evaluation, checkpoints, and the ends of passes."""
        start, end = end_of(step), following.start_ns
        spent_s = sum(self._spent(start, end).values()) + self._starting.within(start, end)
        return max(0.0, (end - start) * _S - spent_s - self._ending_s(step, following))

    def _ending_s(self, step: StepRecord, following: StepRecord) -> float:
        """From the last step of a pass until it was exhausted: its workers are stopped."""
        ended_ns = self._ended_ns.get(step.start_ns)
        if ended_ns is None:
            return 0.0
        start, end = end_of(step), min(ended_ns, following.start_ns)
        return max(0.0, (end - start) * _S - sum(self._spent(start, end).values()))


def _add(total: dict[str, float], more: Mapping[str, float], factor: float = 1.0) -> None:
    for name, seconds in more.items():
        total[name] = total.get(name, 0.0) + factor * seconds
