"""The one recorder: what each step took, on the host's clock and on the device's.

A loop says when it asks for a batch and has it, and enters and leaves its phases. The recorder never
waits for the device: marks go into the device's queue, are asked about later from the same thread, and a
step is written once its marks are reached.

    host     B  next()  A  h2d · forward · backward · optimizer · the rest  B  next()  A  …
    marks    B          A  at both ends of every phase (in marked steps)    B          A  …

Work is done in order, so the device reaches B when it has finished all it had been given, and A at
once if it is idle by then: from B to A it idled because of the wait, and for nothing else. Work that
`next()` itself gives to the device counts as wait.
Our own time is in no phase: a phase begins when our call before it returns. It falls to `other`.

Threads: every call comes from the thread that trains. Forks: in a forked child the recorder is off, since
a loader worker has no business with it; a child that trains, and so asks for a batch, records from then on
into a file of its own beside the parent's (`steps-<pid>.bin`), on the host's clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from perfkit.records import (
    BACKWARD,
    NAN,
    OPTIMIZER,
    STEP_PHASES,
    UNKNOWN,
)
from perfkit.training.probe.clocks import Device
from perfkit.training.probe.forks import unwatch_forks, watch_forks
from perfkit.training.probe.outfiles import OutFiles
from perfkit.training.probe.rundelay import RunDelay, SharedDelay
from perfkit.training.probe.steps import DeviceSteps, Step

MOST = 2**15 - 1
"""Of what a record counts: it has 16 bits for that."""


class Recorder:
    """Times the steps of one training loop and appends them to a file of its own.

    Calls that do not fit are ignored: a phase that is left and was not entered, a batch nobody asked for.
    A step that asked for a batch and got none (the loader was at its end) leaves no record. A phase that
    is not reported is NaN; one reported several times (gradient accumulation) adds up; time in a phase
    inside another is the inner one's alone. Phases of `perfkit.records.PHASES` that are not a step's own
    (evaluation, metrics, a checkpoint) leave a span, wherever they happen.

    With a device, a step that lacks a mark (a graph was being captured) has NaN in every field of
    the device, and so has one given up because the device was too far behind.

    No call raises into the loop: when its file cannot be written the recorder stops, says so once on
    stderr, and keeps the error in `failure`.

    Args:
        path: file to make; spans go beside it, into `spans.bin`.
        device: where marks are put; None where the host's clock is all there is.
        phase_every: phases are marked on the device in every so many-th step of a stretch.
        host_ns: the host's monotonic clock; a device brings its own.
        run_delay: reads how long the training thread has waited for a core.

    Raises:
        FileExistsError: there is such a file already: measurements are not overwritten.
        OSError: it cannot be made.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: Device | None = None,
        phase_every: int = 1,
        host_ns: Callable[[], int] = time.perf_counter_ns,
        run_delay: RunDelay | None = None,
    ) -> None:
        self.block = -1
        """Number under which the coming steps are recorded."""
        self.steps = 0
        """Steps ended so far, written or not: the next one's index."""
        self.own_ns = 0
        """Host time inside the calls a step makes, writing included, but for entering and leaving
        them (0.15 µs each). `drain` and `close` come between stretches and are not in it."""
        self.phase_every = phase_every
        self._host_ns = host_ns if device is None else device.host_ns
        self._delay = SharedDelay(run_delay or RunDelay())
        self._step: Step | None = None
        self._ended: Step | None = None  # the one that ended when this one began
        self._position = 0
        self._stack: list[int] = []
        self._since_ns = 0
        self._files = OutFiles(path)
        self._device_steps = DeviceSteps(self._files.steps, device)
        self._files.put_off(0, self._host_ns())
        self._forked = False
        watch_forks(self)

    @property
    def failure(self) -> OSError | None:
        """Why nothing is recorded any more; None while all is well."""
        return self._files.failure

    @property
    def phase_every(self) -> int:
        """Steps of a stretch between two whose phases are marked on the device."""
        return self._phase_every

    @phase_every.setter
    def phase_every(self, every: int) -> None:
        if every < 1:
            raise ValueError(f"phase_every is {every}; it must be at least 1")
        self._phase_every = every

    def before_next(self, queue_depth: int = UNKNOWN, ready: int = UNKNOWN) -> None:
        """The loop asks for a batch: a step begins, and the one before it ends.

        Args:
            queue_depth: batches that are ready, -1 unknown.
            ready: whether the next one in order is among them: 1, 0, or -1 unknown.
        """
        if self._forked:
            self._rearm()
        now = self._host_ns()
        first_ns, first = self._end_step(now)
        if self._stack:
            self._leave_all(now)
        if queue_depth > MOST:
            queue_depth = MOST
        self._step = step = Step(self.steps, self.block, queue_depth, ready, now)
        if first is not None:
            step.first, step.first_ns = first, first_ns
            # in the middle of each period: the first step of a stretch begins on an idle device
            if self._position % self._phase_every == self._phase_every // 2:
                step.phase_marks = []
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
        if step.first is not None:
            self._device_steps.has_batch(step, now)
        self._since_ns = end = self._host_ns()
        self.own_ns += end - now

    def enter(self, phase: int) -> None:
        """A phase (its place in `perfkit.records.PHASES`) begins; the one it is in pauses.

        One that begins inside `next()` is part of the wait.
        """
        now = self._host_ns()
        step = self._step
        if self._forked or (step is not None and step.wait_ns < 0):
            return
        if step is not None:
            self._pass(step, now)
        self._stack.append(phase)
        if phase >= STEP_PHASES:
            self._files.begin_span(now)
        self._since_ns = end = self._host_ns()
        self.own_ns += end - now

    def leave(self, phase: int) -> None:
        """A phase ends, and with it what was entered inside it and never left."""
        now = self._host_ns()
        stack, step = self._stack, self._step
        if phase not in stack or (step is not None and step.wait_ns < 0):
            return
        if step is not None:
            self._pass(step, now)
        left = -1
        while left != phase:
            left = stack.pop()
            if left >= STEP_PHASES:
                self._end_span(left, now)
        # a backward inside a backward is part of it
        if step is not None and phase not in stack:
            if phase == BACKWARD:
                step.backwards += 1
            elif phase == OPTIMIZER:
                step.updates += 1
        self._since_ns = end = self._host_ns()
        self.own_ns += end - now

    def end_step(self) -> None:
        """End the step that runs, the last one of a stretch; none begins."""
        if self._step is None:
            return
        now = self._host_ns()
        self._end_step(now)
        self._delay.pause(now)
        self._position = 0
        self.own_ns += self._host_ns() - now

    def drain(self) -> None:
        """Write every step that has ended; call it once the device is synchronised.

        Never waits: a step that the device has not finished loses the device's fields.
        """
        if self._forked:
            return
        self._share_delay()
        self._device_steps.give_up_all()
        self._write()

    def close(self) -> None:
        """Drain and close the file; a step that has not ended is dropped."""
        self.drain()
        self._files.stop()
        self._delay.close()
        unwatch_forks(self)

    def cost_s(self) -> float:
        """Host time of our own calls per step; NaN before the first. See `own_ns`."""
        return self.own_ns * 1e-9 / self.steps if self.steps else NAN

    def _pass(self, step: Step, now: int) -> None:
        """What was being done until now ends, or pauses."""
        active = self._stack[-1] if self._stack else -1
        if 0 <= active < STEP_PHASES:
            step.spent_ns[active] = now - self._since_ns + (step.spent_ns[active] or 0)
        if step.phase_marks is not None:
            self._device_steps.mark_phase(step, active)

    def _end_step(self, now: int) -> tuple[int, object]:
        """End the step that runs, tidy up, and return a mark of the boundary and when it was put."""
        step, self._step = self._step, None
        delay = self._delay
        due = now >= delay.due_ns
        if step is not None:
            if step.wait_ns < 0:
                step = None  # it never got its batch
            else:
                if self._stack:
                    self._pass(step, now)
                    self._leave_all(now)
                step.end_ns = now
                delay.steps.append(step)
                self.steps += 1
                self._position += 1
                due = due or step.block != self.block
        self._ended = step
        # before the mark, so that the device never seems to wait for a batch while we write
        files = self._files
        if self.steps >= files.at_step or now >= files.at_ns:
            delay.read(now)
            self._device_steps.resolve()
            self._write()
            files.put_off(self.steps, now)
        elif due:
            delay.read(now)
        device_steps = self._device_steps
        if device_steps.device is None:
            if step is not None:
                device_steps.pending.append(step)
            return 0, None
        return device_steps.end(step)

    def _share_delay(self) -> None:
        """Steps that wait for their share of the run delay get it: they are about to be written."""
        if self._delay.steps:
            self._delay.read(self._host_ns(), self._step)

    def _leave_all(self, now: int) -> None:
        while self._stack:
            left = self._stack.pop()
            if left >= STEP_PHASES:
                self._end_span(left, now)

    def _end_span(self, phase: int, now: int) -> None:
        self._files.end_span(phase, self.steps, now)

    def _write(self) -> None:
        self._files.write()

    def forked(self) -> None:
        """In a forked child: what the parent has not written is the parent's to write."""
        self._forked = True
        self._step = None
        self._files.stop()

    def _rearm(self) -> None:
        """Go on in a forked child that trains."""
        self._files.move_to_child()
        self._device_steps = DeviceSteps(self._files.steps, None)
        self._delay = SharedDelay(RunDelay())
        self._host_ns = time.perf_counter_ns
        self.steps = self._position = self.own_ns = 0
        self._stack = []
        self._files.put_off(0, self._host_ns())
        self._forked = False
