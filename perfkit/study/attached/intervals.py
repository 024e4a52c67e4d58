"""Stretches of time that do not overlap, and how much of another stretch they cover. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from perfkit.records import CHECKPOINT, SpanRecord, StepRecord
from perfkit.study.attached.passes import Pass


@dataclass(frozen=True)
class Intervals:
    """Stretches in `perf_counter_ns`, in order; those that overlapped became one."""

    stretches: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, found: Iterable[tuple[int, int]]) -> Intervals:
        """Return these stretches, put together where they overlap; empty ones are dropped."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted(one for one in found if one[1] > one[0]):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return cls(tuple(merged))

    def within(self, start: int, end: int) -> float:
        """Return the seconds of a stretch that they cover."""
        number = max(0, bisect_right(self.stretches, (start, start)) - 1)
        covered = 0
        for one, other in self.stretches[number:]:
            if one >= end:
                break
            covered += max(0, min(other, end) - max(one, start))
        return covered * 1e-9

    def holds(self, moment: int) -> bool:
        """Whether a moment lies in one of them."""
        number = bisect_right(self.stretches, (moment, moment)) - 1
        return any(a <= moment <= b for a, b in self.stretches[max(0, number) : number + 2])


def end_of(step: StepRecord) -> int:
    """Return when a step ended."""
    return step.start_ns + int(step.step_s * 1e9)


def saving(spans: Iterable[SpanRecord]) -> Intervals:
    """Return when checkpoints were written."""
    return Intervals.of(
        (one.start_ns, one.start_ns + int(one.span_s * 1e9))
        for one in spans
        if one.phase == CHECKPOINT
    )


def evaluating(passes: Iterable[Pass]) -> Intervals:
    """Return when batches were evaluated: asking for them, using them, and finding that there are no more."""
    return Intervals.of(stretch for one in passes for stretch in _of_pass(one))


def training(passes: Iterable[Pass]) -> Intervals:
    """Return when a pass was trained: from its first batch to its last, all that is between them included."""
    return Intervals.of((one.began_ns, end_of(one.steps[-1])) for one in passes)


def starting(passes: Iterable[Pass]) -> Intervals:
    """Return when loaders were asked for an iterator, which starts their workers."""
    return Intervals.of((one.began_ns, one.began_ns + int(one.iter_s * 1e9)) for one in passes)


def _of_pass(one: Pass) -> Iterator[tuple[int, int]]:
    end = one.began_ns + int(one.iter_s * 1e9)
    yield one.began_ns, end
    for step in one.steps:
        end = end_of(step)
        yield step.start_ns, end
    if one.ended_ns is not None:
        yield end, one.ended_ns
