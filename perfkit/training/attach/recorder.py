"""The recorder of an attached script: one whose steps may be found to have ended earlier, or to be one.

A loop of ours says where a step ends; a script is only seen to do something else. So a step can be ended at a
moment that has passed, one can be held until it is known whether the next fetch belongs to it, and one that
ended can be opened again. None of the three is seen by the device: its fields of such a step are NaN.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from perfkit.records import STEP_PHASES, UNKNOWN
from perfkit.training.attach.collectiverecorder import CollectiveRecorder
from perfkit.training.probe.clocks import Device
from perfkit.training.probe.recorder import MOST
from perfkit.training.probe.rundelay import RunDelay, SharedDelay
from perfkit.training.probe.steps import DeviceSteps, Step


class LateRecorder(CollectiveRecorder):
    """A recorder that is told late.

    Args:
        path: file to make; see `perfkit.training.probe.recorder.Recorder`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._aside: list[Step] = []

    def now_ns(self) -> int:
        """Return what its clock shows."""
        return self._host_ns()

    @contextlib.contextmanager
    def clock_of(self, clock: Callable[[], int]) -> Iterator[None]:
        """Go by another clock, which shows when what is told of now was."""
        usual, self._host_ns = self._host_ns, clock
        try:
            with self._delay.once():
                yield
        finally:
            self._host_ns = usual

    @property
    def told_ns(self) -> int:
        """When the last call about a phase or a batch returned."""
        return self._since_ns

    @property
    def backwards(self) -> int:
        """Backward passes in the step that runs; -1 where none runs."""
        return UNKNOWN if self._step is None else self._step.backwards

    def use_device(self, device: Device) -> None:
        """From the next step on, put marks on a device."""
        self.drain()
        self._device_steps = DeviceSteps(self._files.steps, device)
        self._host_ns = device.host_ns

    def got_batch(self, samples: int, phase: int) -> None:
        """The loop has its batch, and begins a phase with it."""
        self.after_next(samples)
        if self._step is not None and self._step.wait_ns >= 0:
            self._stack.append(phase)

    @property
    def is_plain(self) -> bool:
        """Whether nothing is going on but a step that has its batch, on the host's clock."""
        step = self._step
        running = step is not None and step.wait_ns >= 0 and not (self._stack or self._aside)
        return running and self._device_steps.device is None

    def plain_steps(
        self, queue: Sequence[tuple[int, int]], samples: Sequence[int], at_ns: Sequence[int]
    ) -> None:
        """End the step that runs; steps of one batch, one backward and one update follow, the last one runs.

        Args:
            queue: depth and readiness (`before_next`), by steps.
            samples: by steps.
            at_ns: six moments for each step; see `Step.fill_plain`.
        """
        self._end_step(at_ns[0])
        queue = [(min(depth, MOST), ready) for depth, ready in queue]
        whole = len(queue) - 1
        share_s = self._delay.read(at_ns[-6], others=whole)
        self._device_steps.resolve()
        self._device_steps.keep_plain(
            self.steps, self.block, queue[:-1], samples[:-1], at_ns[:-5], share_s
        )
        self.steps += whole
        self._ended = None
        self._step = step = Step(self.steps, self.block, *queue[-1], at_ns[-6])
        step.fill_plain(samples[-1], at_ns[-6:])
        self._since_ns = at_ns[-1]

    def turn(self, left: int, entered: int) -> None:
        """A phase of the step ends, and another one begins with that."""
        now = self._host_ns()
        step, stack = self._step, self._stack
        if step is None or step.wait_ns < 0 or len(stack) != 1 or stack[0] != left:
            self.leave(left)
            self.enter(entered)
            return
        self._pass(step, now)
        stack[0] = entered
        self._since_ns = end = self._host_ns()
        self.own_ns += end - now

    def claim(self, phase: int) -> None:
        """What the step that runs did since the last call was this phase, as what comes now shows."""
        now = self._host_ns()
        step = self._step
        if step is not None and step.wait_ns >= 0 and not self._stack:
            self._stack.append(phase)
            self._pass(step, now)
            self._stack.pop()
        self._since_ns = end = self._host_ns()
        self.own_ns += end - now

    def close_step(self, at_ns: int) -> None:
        """End the step that runs at a moment that has passed, not before it had its batch."""
        step = self._step
        if step is None:
            return
        self.end_step()
        if step.wait_ns >= 0:
            step.end_ns = max(min(at_ns, step.end_ns), step.start_ns + step.wait_ns)
            step.last = None
        self._files.at_ns = 0  # with the next step: a while may pass until then

    def drop_step(self) -> None:
        """Forget the step that runs; it leaves no record."""
        now = self._host_ns()
        self._leave_all(now)
        self._step = None
        self._delay.pause(now)

    def another_thread(self) -> None:
        """From now on the calls come from another thread."""
        self._delay.close()
        self._delay = SharedDelay(RunDelay())

    def reopen(self) -> bool:
        """Go on with the step that ended when a batch was asked for, and none came."""
        step, asked = self._ended, self._step
        if step is None or asked is None or asked.wait_ns >= 0 or not self._device_steps.take(step):
            return False
        self._delay.reopen(step)
        step.last = step.ready_mark = step.phase_marks = None
        self._step, self._ended = step, None
        self.steps -= 1
        self._since_ns = self._host_ns()
        return True

    def hold(self) -> None:
        """Set the step that runs aside; `release`, `fold` or `resume` decides what it is."""
        if self._step is not None:
            self._delay.read(self._pass_all(), self._step)
            self._aside.append(self._step)
            self._step = None

    def split(self, at_ns: int) -> None:
        """Set the step that runs aside, ended at a moment that has passed: one without a loader begins."""
        self.hold()
        self._aside[-1].end_ns = at_ns
        self.begin_update()
        if self._step is not None:
            self._step.start_ns = at_ns

    def release(self) -> None:
        """What was set aside were steps of their own, which ended when they were."""
        for step in self._aside:
            step.index = self.steps
            self.steps += 1
            self._device_steps.end(step)
            step.last = None
        self._aside = []
        if self._step is not None:
            self._step.index = self.steps

    def resume(self, phase: int) -> None:
        """The step that was set aside last goes on, in a phase: none runs."""
        step = self._aside.pop()
        self._since_ns = now = self._host_ns()
        self._delay.read(now)
        step.index = self.steps
        step.ready_mark = step.phase_marks = None
        self._step = step
        self._stack.append(phase)

    def fold(self) -> None:
        """The step that runs is a part of what was set aside, which goes on."""
        if self._step is None:
            return
        self._pass_all()
        while self._aside:
            held, step = self._aside.pop(), self._step
            held.wait_ns += max(step.wait_ns, 0)
            if step.ready != UNKNOWN:
                held.joins(step.queue_depth, step.ready)
            held.backwards += step.backwards
            held.updates += step.updates
            held.waited_for_core(step.run_delay_s)
            for phase in range(STEP_PHASES):
                spent_ns = step.spent_ns[phase]
                if spent_ns is not None:
                    held.spent_ns[phase] = spent_ns + (held.spent_ns[phase] or 0)
            held.ready_mark = held.phase_marks = None
            self._step = held

    def forget(self) -> None:
        """Nothing that runs or was set aside leaves a record."""
        self.drop_step()
        self._aside = []

    def before_more(self, queue_depth: int, ready: int) -> None:
        """The loop asks another loader for a part of the same step, which is ready if both parts are.

        Args:
            queue_depth, ready: of that loader; see `before_next`.
        """
        now = self._host_ns()
        step = self._step
        if step is not None:
            self._pass(step, now)
            step.joins(queue_depth, ready)
        self._since_ns = end = self._host_ns()
        self.own_ns += end - now

    def after_more(self) -> int:
        """It has it: what it took is wait; returns how long, in nanoseconds."""
        now = self._host_ns()
        step, waited_ns = self._step, now - self._since_ns
        if step is not None:
            step.wait_ns += waited_ns
            if step.first is not None:
                # the device may have been given work since the first part: its wait ends here
                step.phase_marks = None if step.phase_marks is None else []
                self._device_steps.has_batch(step, now)
        self._since_ns = end = self._host_ns()
        self.own_ns += end - now
        return waited_ns

    def begin_update(self) -> None:
        """Without a loader a step goes from one update to the next: it has waited for nothing."""
        self.before_next()
        step = self._step
        if step is not None:
            self.after_next(UNKNOWN)
            step.wait_ns = 0

    def flush(self) -> None:
        """Write what has ended, as far as the device has come."""
        self._share_delay()
        self._device_steps.resolve()
        self._write()
        self._files.put_off(self.steps, self._host_ns())

    def _pass_all(self) -> int:
        """End every phase of the step that runs; returns when that was."""
        now = self._host_ns()
        step = self._step
        if step is not None:
            self._pass(step, now)
            step.end_ns = now
        self._leave_all(now)
        return now
