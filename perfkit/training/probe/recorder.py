"""The one recorder: what each step took, on the host's clock and on the device's.

A loop calls it at the ends of its phases. It never waits for the device: marks go into the device's
queue, are asked about later from the same thread, and a step is written once its marks are reached.

    host     B  next()  A  h2d · forward · backward · optimizer · the rest  B  next()  A  …
    marks    B          A   ·      ·          ·          · (every k-th step) B          A  …

Work is done in order, so the device reaches B when it has finished all it had been given, and A at
once if it is idle by then: from B to A it idled because of the wait, and for nothing else. Work that
`next()` itself gives to the device counts as wait.
Our own time is in no phase: a phase begins when our call before it returns. It falls to `other`.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perfkit.records import NAN, StepRecord
from perfkit.training.probe.clocks import Device, Timeline
from perfkit.training.probe.stepfile import StepFile

WRITE_EVERY = 64
"""Steps that are worked up and written together. One at a time each would find its code and data
driven out of the caches by the training step before: 20 µs instead of 3, measured on a 3 ms step."""
WRITE_EVERY_NS = 500_000_000
"""While steps go on, a record waits no longer than this, and for the device: what a kill loses."""
MOST_PENDING = 4096
"""Steps that may wait for the device; CUDA blocks the host long before, at about 1,000 launches."""
MOST_PHASE_MARKS = 256
"""Phase marks in one step; one with more is no step (an evaluation inside it) and gets none."""

_H2D, _FORWARD, _BACKWARD, _OPTIMIZER = range(4)
_MOST_QUEUE_DEPTH = 2**15 - 1  # its field in the record has 16 bits


class _Step:
    """A step that is running, or waits for the device."""

    __slots__ = (
        "block", "end_ns", "first", "first_ns", "idle", "index", "last", "phase_marks", "queue_depth",
        "ready", "ready_ns", "samples", "spent_ns", "start_ns", "wait_ns",
    )  # fmt: skip

    def __init__(self, index: int, block: int, queue_depth: int, start_ns: int) -> None:
        self.index = index
        self.block = block
        self.queue_depth = queue_depth
        self.start_ns = start_ns
        self.end_ns = start_ns
        self.samples = 0
        self.wait_ns = -1  # no batch yet
        self.spent_ns: list[int | None] = [None] * 4
        self.first: Any = None
        self.first_ns = 0
        self.ready: Any = None
        self.ready_ns = 0
        self.idle = False
        self.phase_marks: list[tuple[int, Any]] | None = None
        self.last: Any = None

    def marked(self) -> bool:
        """Whether all its marks could be put."""
        return self.first is not None and self.ready is not None and self.last is not None


class Recorder:
    """Times the steps of one training loop and appends them to a file of its own.

    Calls that do not fit are ignored: a phase that ends outside a step, a batch nobody asked for. A
    step that asked for a batch and got none (the loader was at its end) leaves no record. A phase
    that is not reported is NaN, and its time falls to the next one that is; one reported several
    times (gradient accumulation) adds up.

    With a device, a step that lacks a mark (a graph was being captured) has NaN in every field of
    the device, and so has one given up because the device was `MOST_PENDING` steps behind.

    Args:
        path: file to make.
        device: where marks are put; None where the host's clock is all there is.
        phase_every: phases are marked on the device in every so many-th step.
        host_ns: the host's monotonic clock; a device brings its own.

    Raises:
        FileExistsError: there is such a file already: measurements are not overwritten.
        OSError: it cannot be written. The calls that end a step, `drain` and `close` raise it too;
            what was written stays readable, what was not is kept and tried again at the next of them.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: Device | None = None,
        phase_every: int = 1,
        host_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        if phase_every < 1:
            raise ValueError(f"phase_every is {phase_every}; it must be at least 1")
        self.block = -1
        """Number under which the coming steps are recorded."""
        self.steps = 0
        """Steps ended so far, written or not: the next one's index."""
        self.own_ns = 0
        """Host time inside the calls a step makes, writing included, but for entering and leaving
        them (0.15 µs each). `drain` and `close` come between stretches and are not in it."""
        self._device = device
        self._timeline = None if device is None else Timeline(device)
        self._phase_every = phase_every
        self._host_ns = host_ns if device is None else device.host_ns
        self._step: _Step | None = None
        self._since_ns = 0
        self._pending: deque[_Step] = deque()
        self._write_at_step = WRITE_EVERY
        self._write_at_ns = self._host_ns() + WRITE_EVERY_NS
        self._file = StepFile(path)

    def before_next(self, queue_depth: int = -1) -> None:
        """The loop asks for a batch, of which `queue_depth` are ready (-1 unknown): a step begins."""
        now = self._host_ns()
        first_ns, first = self._end_step(now)
        step = _Step(self.steps, self.block, min(queue_depth, _MOST_QUEUE_DEPTH), now)
        step.first, step.first_ns = first, first_ns
        if first is not None and self.steps % self._phase_every == 0:
            step.phase_marks = []
        self._step = step
        self._since_ns = end = self._host_ns()
        self.own_ns += end - now

    def after_next(self, samples: int) -> None:
        """The loop has its batch."""
        now = self._host_ns()
        step = self._step
        if step is None or step.wait_ns >= 0:
            return
        step.wait_ns = now - self._since_ns
        step.samples = samples
        if step.first is not None and self._device is not None:
            step.ready_ns = now
            step.ready = self._device.record()
            # asked once the mark is put, so that the asking is no wait of the device; what finishes
            # between the two sets the clocks apart by as much, a microsecond
            step.idle = self._device.done(step.first)
        self._since_ns = end = self._host_ns()
        self.own_ns += end - now

    def after_h2d(self) -> None:
        """The batch is on its way to the device."""
        self._end_phase(_H2D)

    def after_forward(self) -> None:
        """The loss is computed, or launched."""
        self._end_phase(_FORWARD)

    def after_backward(self) -> None:
        """The gradients are computed, or launched."""
        self._end_phase(_BACKWARD)

    def after_optimizer(self) -> None:
        """The update is done, or launched."""
        self._end_phase(_OPTIMIZER)

    def end_steps(self) -> None:
        """End the last step of a stretch; none begins."""
        if self._step is None:
            return
        now = self._host_ns()
        self._end_step(now)
        self.own_ns += self._host_ns() - now

    def drain(self) -> None:
        """Write every step that has ended; call it once the device is synchronised.

        Never waits: a step that the device has not finished loses the device's fields.
        """
        self._resolve()
        while self._pending:
            self._keep(self._pending.popleft())
        self._file.write()

    def close(self) -> None:
        """Drain and close the file; a step that has not ended is dropped."""
        try:
            self.drain()
        finally:
            self._file.close()

    def cost_s(self) -> float:
        """Host time of our own calls per step; NaN before the first. See `own_ns`."""
        return self.own_ns * 1e-9 / self.steps if self.steps else NAN

    def _end_phase(self, phase: int) -> None:
        now = self._host_ns()
        step = self._step
        if step is None or step.wait_ns < 0:
            return
        step.spent_ns[phase] = now - self._since_ns + (step.spent_ns[phase] or 0)
        if step.phase_marks is not None and self._device is not None:
            mark = self._device.record()
            if mark is None:
                step.ready = None
            if len(step.phase_marks) < MOST_PHASE_MARKS:
                step.phase_marks.append((phase, mark))
            else:
                step.phase_marks = None
        self._since_ns = end = self._host_ns()
        self.own_ns += end - now

    def _end_step(self, now: int) -> tuple[int, Any]:
        """End the step that runs, tidy up, and return a mark of the boundary and when it was put."""
        step, self._step = self._step, None
        if step is not None and step.wait_ns < 0:
            step = None  # it never got its batch
        if step is not None:
            step.end_ns = now
            self.steps += 1
        mark_ns, mark = now, None
        try:
            # before the mark, so that the device never seems to wait for a batch while we write
            if self.steps >= self._write_at_step or now >= self._write_at_ns:
                self._resolve()
                self._file.write()
                self._write_at_step = self.steps + WRITE_EVERY
                self._write_at_ns = now + WRITE_EVERY_NS
        finally:
            if self._device is not None:
                mark_ns = self._host_ns()
                mark = self._device.record()
            if step is not None:
                step.last = mark
                self._pending.append(step)
        return mark_ns, mark

    def _resolve(self) -> None:
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

    def _keep_measured(self, step: _Step, device: Device, timeline: Timeline) -> None:
        """Write a step whose last mark is reached, and so all its marks."""
        elapsed_s, recycle = device.elapsed_s, device.recycle
        # neighbouring marks only, for CUDA tells what lies between two as a float32
        exposed_s = elapsed_s(step.first, step.ready)
        step_s = exposed_s
        phases_s = [NAN] * 4
        mark = step.ready
        for phase, end in step.phase_marks or ():
            interval_s = elapsed_s(mark, end)
            step_s += interval_s
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

    def _keep(self, step: _Step, measured: tuple[float, ...] | None = None) -> None:
        wait_s = step.wait_ns * 1e-9
        if measured is None:
            alone = self._device is None
            measured = (NAN, wait_s, NAN, NAN, NAN, NAN, 0.0) if alone else (NAN,) * 7
        record = StepRecord(
            step.index,
            step.block,
            step.samples,
            step.queue_depth,
            step.start_ns,
            (step.end_ns - step.start_ns) * 1e-9,
            wait_s,
            *[NAN if spent_ns is None else spent_ns * 1e-9 for spent_ns in step.spent_ns],
            *measured,
        )
        self._file.add(record)
