"""Steps on their way to the disk: those that run, those that wait for the device, and what it told."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from perfkit.records import NAN, STEP_PHASES, StepRecord
from perfkit.training.probe.clocks import Device, Timeline
from perfkit.training.probe.recordfile import RecordFile

MOST_PENDING = 4096
"""Steps that may wait for the device; CUDA blocks the host long before, at about 1,000 launches."""
MOST_PHASE_MARKS = 256
"""Phase marks in one step; one with more is no step (an evaluation inside it) and gets none."""

UNCOUNTED = 2.0
"""A step with its phases marked costs at most so many times what the recorder counts of it: eight of its ten
timing events are put by entering and leaving, which it does not count."""
BAR = 0.01
"""Part of a step that marks may cost."""
MOST_STEPS_APART = 15
"""A block has fifty steps and more where steps are this short: some are marked all the same."""


def marking_period(step_s: float, own_s: float) -> int:
    """Return of how many steps one has its phases marked, so that marks cost no more than `BAR`.

    Odd, since work that alternates from step to step would be seen in one of its forms only.

    Args:
        own_s: what the recorder counts of its own calls in steps that were all marked (`Recorder.cost_s`):
            some 10 µs on a bare machine, 300 in a virtual one that was measured.
    """
    period = math.ceil(UNCOUNTED * own_s / (BAR * max(step_s, 1e-9)))
    return min(period + 1 - period % 2, MOST_STEPS_APART)


class Step:
    """A step that is running, or waits for the device."""

    __slots__ = (
        "backwards", "block", "delay_ns", "end_ns", "first", "first_ns", "idle", "index", "last",
        "phase_marks", "queue_depth", "ready", "ready_mark", "ready_ns", "run_delay_s", "samples",
        "spent_ns", "start_ns", "updates", "wait_ns",
    )  # fmt: skip

    def __init__(
        self, index: int, block: int, queue_depth: int, ready: int, start_ns: int, delay_ns: int
    ) -> None:
        self.index = index
        self.block = block
        self.queue_depth = queue_depth
        self.ready = ready
        self.start_ns = start_ns
        self.delay_ns = delay_ns
        self.end_ns = start_ns
        self.samples = 0
        self.backwards = 0
        self.updates = 0
        self.wait_ns = -1  # no batch yet
        self.run_delay_s = NAN
        self.spent_ns: list[int | None] = [None] * STEP_PHASES
        self.first: Any = None
        self.first_ns = 0
        self.ready_mark: Any = None
        self.ready_ns = 0
        self.idle = False
        self.phase_marks: list[tuple[int, Any]] | None = None
        self.last: Any = None

    def marked(self) -> bool:
        """Whether all its marks could be put."""
        return self.first is not None and self.ready_mark is not None and self.last is not None


class DeviceSteps:
    """Puts the marks of steps, and turns steps into records once the device has reached them.

    Args:
        file: gets the records.
        device: where marks are put; None where the host's clock is all there is.
    """

    def __init__(self, file: RecordFile[StepRecord], device: Device | None) -> None:
        self._file = file
        self._device = device
        self._timeline = None if device is None else Timeline(device)
        self._pending: deque[Step] = deque()

    def has_batch(self, step: Step, now: int) -> None:
        """A step that was marked at its begin has its batch."""
        if self._device is None:
            return
        step.ready_ns = now
        step.ready_mark = self._device.record()
        # asked once the mark is put, so that the asking is no wait of the device; what finishes
        # between the two sets the clocks apart by as much, a microsecond
        step.idle = self._device.done(step.first)

    def mark_phase(self, step: Step, phase: int) -> None:
        """What the step did since the mark before, `phase` or nothing of its own (-1), ends here."""
        if self._device is None or step.phase_marks is None:
            return
        mark = self._device.record()
        if mark is None:
            step.ready_mark = None
        if len(step.phase_marks) < MOST_PHASE_MARKS:
            step.phase_marks.append((phase, mark))
        else:
            step.phase_marks = None

    def end(self, step: Step | None) -> tuple[int, Any]:
        """Put the mark of a boundary; return when and what. A step that ended there waits for it."""
        mark_ns, mark = 0, None
        if self._device is not None:
            mark_ns = self._device.host_ns()
            mark = self._device.record()
        if step is not None:
            step.last = mark
            self._pending.append(step)
        return mark_ns, mark

    def take(self, step: Step) -> bool:
        """Take the newest step back, if it is this one and still waits."""
        if not self._pending or self._pending[-1] is not step:
            return False
        self._pending.pop()
        return True

    def resolve(self) -> None:
        """Work up the steps that wait, as far as the device has come."""
        pending, device, timeline = self._pending, self._device, self._timeline
        while pending:
            step = pending[0]
            if device is None or timeline is None or not step.marked():
                self._keep(step)
            elif device.done(step.last):
                self._keep_measured(step, device, timeline)
            else:
                break
            pending.popleft()
        while len(pending) > MOST_PENDING:
            self._keep(pending.popleft())

    def give_up_all(self) -> None:
        """Work up every step; those that the device has not finished go without its fields."""
        self.resolve()
        while self._pending:
            self._keep(self._pending.popleft())

    def _keep_measured(self, step: Step, device: Device, timeline: Timeline) -> None:
        """Write a step whose last mark is reached, and so all its marks."""
        elapsed_s, recycle = device.elapsed_s, device.recycle
        # neighbouring marks only, for CUDA tells what lies between two as a float32
        exposed_s = elapsed_s(step.first, step.ready_mark)
        step_s = exposed_s
        phases_s = [NAN] * STEP_PHASES
        mark = step.ready_mark
        for phase, end in step.phase_marks or ():
            interval_s = elapsed_s(mark, end)
            step_s += interval_s
            if 0 <= phase < STEP_PHASES:
                before_s = phases_s[phase]
                phases_s[phase] = interval_s if math.isnan(before_s) else before_s + interval_s
            recycle(mark)
            mark = end
        step_s += elapsed_s(mark, step.last)
        recycle(mark)
        if math.isnan(step_s):
            self._keep(step)
            return
        if step.idle:
            # nothing was left to do by the end of the wait, so the next mark was reached at once
            reached_ns = max(step.ready_ns - round(exposed_s * 1e9), step.first_ns)
        else:
            reached_ns = timeline.at_ns(step.first, earliest_ns=step.ready_ns)
        timeline.move_to(step.first, reached_ns)
        timeline.move_to(step.last, reached_ns + round(step_s * 1e9))
        lead_s = (reached_ns - step.first_ns) * 1e-9
        self._keep(step, (step_s, exposed_s, *phases_s, lead_s))

    def _keep(self, step: Step, measured: tuple[float, ...] | None = None) -> None:
        wait_s = step.wait_ns * 1e-9
        if measured is None:
            alone = self._device is None
            measured = (NAN, wait_s, NAN, NAN, NAN, NAN, 0.0) if alone else (NAN,) * 7
        counts = (step.ready, step.backwards, step.updates)
        values = (
            *(step.index, step.block, step.samples, step.queue_depth, *counts, step.start_ns),
            (step.end_ns - step.start_ns) * 1e-9,
            wait_s,
            *[NAN if spent_ns is None else spent_ns * 1e-9 for spent_ns in step.spent_ns],
            *measured,
            step.run_delay_s,
        )
        self._file.add(StepRecord._make(values))
