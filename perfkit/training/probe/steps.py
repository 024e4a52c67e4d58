"""Steps on their way to the disk: those that run, those that wait for the device, and what it told."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import count, repeat
from typing import Any

from perfkit.records import BACKWARD, FORWARD, NAN, OPTIMIZER, STEP_PHASES, StepRecord
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
    """A step that is running, or waits for the device.

    What most steps leave as it is lies with the class: the fewer fields are set, the sooner the loop goes on.
    """

    samples = 0
    backwards = 0
    updates = 0
    wait_ns = -1  # no batch yet
    end_ns = 0
    run_delay_s = NAN
    first: Any = None
    first_ns = 0
    ready_mark: Any = None
    ready_ns = 0
    idle = False
    phase_marks: list[tuple[int, Any]] | None = None
    last: Any = None

    def __init__(self, index: int, block: int, queue_depth: int, ready: int, start_ns: int) -> None:
        self.index = index
        self.block = block
        self.queue_depth = queue_depth
        self.ready = ready
        self.start_ns = start_ns
        self.spent_ns: list[int | None] = [None] * STEP_PHASES

    def fill_plain(self, samples: int, at_ns: Sequence[int]) -> None:
        """Set what one batch, one backward and one update make, none of them marked.

        Args:
            at_ns: begin and end of the wait, of the backward and of the update.
        """
        asked_ns, got_ns, begun_ns, ended_ns, updating_ns, updated_ns = at_ns
        self.wait_ns = got_ns - asked_ns
        self.samples = samples
        self.spent_ns[FORWARD] = begun_ns - got_ns
        self.spent_ns[BACKWARD] = ended_ns - begun_ns
        self.spent_ns[OPTIMIZER] = updated_ns - updating_ns
        self.backwards = self.updates = 1

    def joins(self, queue_depth: int, ready: int) -> None:
        """Its batch has another part, of another loader: it is ready where both are.

        Args:
            queue_depth, ready: of that loader; see `Recorder.before_next`.
        """
        self.queue_depth = min(self.queue_depth, queue_depth)
        self.ready = 0 if 0 in (self.ready, ready) else min(self.ready, ready)

    def waited_for_core(self, share_s: float) -> None:
        """Add a share of the run delay; NaN is none."""
        known_s = self.run_delay_s
        if known_s != known_s:
            self.run_delay_s = share_s
        elif share_s == share_s:
            self.run_delay_s = known_s + share_s

    def marked(self) -> bool:
        """Whether all its marks could be put."""
        return self.first is not None and self.ready_mark is not None and self.last is not None


def _seconds(begins_ns: Sequence[int], ends_ns: Sequence[int]) -> list[float]:
    return [(end - begin) * 1e-9 for begin, end in zip(begins_ns, ends_ns, strict=True)]


class DeviceSteps:
    """Puts the marks of steps, and turns steps into records once the device has reached them.

    Args:
        file: gets the records.
        device: where marks are put; None where the host's clock is all there is.
    """

    def __init__(self, file: RecordFile[StepRecord], device: Device | None) -> None:
        self.device = device
        self.pending: deque[Step] = deque()
        """Those that have ended, oldest first."""
        self._file = file
        self._timeline = None if device is None else Timeline(device)

    def has_batch(self, step: Step, now: int) -> None:
        """A step that was marked at its begin has its batch."""
        if self.device is None:
            return
        step.ready_ns = now
        step.ready_mark = self.device.record()
        # asked once the mark is put, so that the asking is no wait of the device; what finishes
        # between the two sets the clocks apart by as much, a microsecond
        step.idle = self.device.done(step.first)

    def mark_phase(self, step: Step, phase: int) -> None:
        """What the step did since the mark before, `phase` or nothing of its own (-1), ends here."""
        if self.device is None or step.phase_marks is None:
            return
        mark = self.device.record()
        if mark is None:
            step.ready_mark = None
        if len(step.phase_marks) < MOST_PHASE_MARKS:
            step.phase_marks.append((phase, mark))
        else:
            step.phase_marks = None

    def end(self, step: Step | None) -> tuple[int, Any]:
        """Put the mark of a boundary; return when and what. A step that ended there waits for it."""
        mark_ns, mark = 0, None
        if self.device is not None:
            mark_ns = self.device.host_ns()
            mark = self.device.record()
        if step is not None:
            step.last = mark
            self.pending.append(step)
        return mark_ns, mark

    def take(self, step: Step) -> bool:
        """Take the newest step back, if it is this one and still waits."""
        if not self.pending or self.pending[-1] is not step:
            return False
        self.pending.pop()
        return True

    def resolve(self) -> None:
        """Work up the steps that wait, as far as the device has come."""
        pending, device, timeline = self.pending, self.device, self._timeline
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
        while self.pending:
            self._keep(self.pending.popleft())

    def keep_plain(
        self,
        first: int,
        block: int,
        queue: Sequence[tuple[int, int]],
        samples: Sequence[int],
        at_ns: Sequence[int],
        run_delay_s: float,
    ) -> None:
        """Write whole steps without marks, each of one batch, one backward and one update.

        Args:
            first: index of the first one.
            queue: depth and readiness, by steps.
            samples: by steps.
            at_ns: six moments for each step (`Step.fill_plain`), then the last one's end.
            run_delay_s: of each.
        """
        asked, got, begun, ended, updating, updated = (at_ns[n:-1:6] for n in range(6))
        depths, readies = zip(*queue, strict=True) if queue else ((), ())
        wait_s = _seconds(asked, got)
        columns: dict[str, Iterable[object]] = {
            "index": count(first),
            "block": repeat(block),
            "samples": samples,
            "queue_depth": depths,
            "ready": readies,
            "backwards": repeat(1),
            "updates": repeat(1),
            "start_ns": asked,
            "step_s": _seconds(asked, at_ns[6::6]),
            "data_wait_s": wait_s,
            "forward_s": _seconds(got, begun),
            "backward_s": _seconds(begun, ended),
            "optimizer_s": _seconds(updating, updated),
            "exposed_wait_s": wait_s,
            "lead_s": repeat(0.0),
            "run_delay_s": repeat(run_delay_s),
        }
        unknown = repeat(NAN)
        self._file.add_columns(columns.get(name, unknown) for name in StepRecord._fields)

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
            alone = self.device is None
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
