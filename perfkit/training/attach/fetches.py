"""Which step a fetch, a backward and an update belong to: a script is told apart by the order it does things.

A pass is one iteration over a DataLoader. Each batch it fetches is a step until something else follows.

Another pass that fetches while a step has no backward yet has that step set aside. It is a companion (`zip`
of two loaders) if it fetches once and the first one fetches next, a training of its own if it fetches again
after a backward, and an evaluation else, after which the step goes on.

A batch that is fetched with gradients off (`torch.no_grad`, `torch.inference_mode`) is an evaluation's where
those that are trained with are fetched with gradients on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from perfkit.records import FORWARD, UNKNOWN
from perfkit.training.attach.first import FirstBatch
from perfkit.training.attach.loaders import Pass
from perfkit.training.attach.recorder import LateRecorder
from perfkit.training.attach.watcher import FIRST, LATER, Making, Watcher

MOST_GAPS = 64
"""Forwards, and gaps before updates, that are kept: those of one step at least."""


def is_made(asking: Pass, depth: int, ready: int) -> bool:
    """Whether the loop makes a batch of this pass itself: without workers nothing is ready, and no queue."""
    return asking.loader.trains and depth == UNKNOWN and ready <= 0


def _at_once(do: Callable[[], None]) -> None:
    do()


class Fetches:
    """Tells the recorder which step a batch belongs to; every call comes from the thread that trains."""

    def __init__(self, recorder: LateRecorder, watcher: Watcher) -> None:
        self.recorder = recorder
        self.trained = 0
        """Steps in which a backward or an update happened."""
        self.untracked_ns = 0
        """Time outside next() and outside the phases of a step."""
        self.unexplained = False
        """Whether what happens now belongs to no step, unless a backward or an update follows it."""
        self.moment = 0
        """Counts what happens; see `unexplained`."""
        self.computing = False
        """Whether the loop has a batch of a loader that it trains with, and no backward has begun."""
        self.making: Making | None = None
        """Which batch of a pass the loop makes for itself now; None where it makes none."""
        self.making_ns = 0
        """Time that it has taken for that, in passes that are trained with."""
        self.forward_ns = self.backward_ns = self.update_ns = 0
        """Between a batch and its first backward, in all backwards, and in updates after the last one."""
        self.updating = False
        """Whether an update runs, and no forward or backward in it, unless a backward follows."""
        self.forwards: deque[int] = deque(maxlen=MOST_GAPS)
        """Moments of late in which a forward was, as the backward after it shows."""
        self.updates: deque[int] = deque(maxlen=MOST_GAPS)
        """Moments of late in which an update came to its end."""
        self.gaps: deque[int] = deque(maxlen=MOST_GAPS)
        """Moments of late after which an update began: what happened then was in no phase of its step."""
        self.is_behind = False
        """Whether calls are noted, and told of later; see `attach.tape`."""
        self.once_known: Callable[[Callable[[], None]], None] = _at_once
        """Does something once all that has happened until now has been told of."""
        self.bare_steps = 0
        """Steps that have computed without a loader."""
        self.sees_forward = False
        """Whether forwards of steps without a loader are told of."""
        self._watcher = watcher
        self._open: Pass | None = None
        self._held: Pass | None = None  # its step is set aside
        self._beside = 0  # batches fetched since by the pass that runs
        self._more: Pass | None = None
        self._joined: list[Pass] = []  # gave a part of the step that runs
        self._bare = False  # the step that runs has no loader
        self._loader_trains = False  # two batches of one were trained with
        self._was_bare = False  # and what ran before the pass that runs had none
        self._first = FirstBatch(recorder)
        self._ahead: set[Pass] = set()  # read more than one batch before they were trained with
        self._gradients = False  # they were on for a batch that was trained with, or set aside
        self._counted = False
        self._last_ns = 0  # the last backward or update, or the end of a pass

    @property
    def without_loader(self) -> bool:
        """Whether the step that runs has none."""
        return self._bare

    @property
    def in_training(self) -> bool:
        """Whether who asks for a batch, or computes without one, is a loop that trains."""
        return self._bare or (self._open is not None and self._open.loader.trains)

    @property
    def rests(self) -> bool:
        """Whether what was trained with last is done with, and nothing else seems to have begun."""
        running = self._open
        gone = running is not None and running.gone_ns > 0
        return self.unexplained or (gone and not self._counted)

    def asks(self, asking: Pass, depth: int, ready: int, gradients: bool) -> None:
        """A pass asks for a batch; the rest is what `queue_of` returns."""
        recorder = self.recorder
        now = recorder.now_ns()
        self.moment += 1
        self.unexplained = self.computing = False
        asking.gradients = gradients
        running = self._open
        if running is not None and not self._loader_trains:
            running = self._settle(running, asking)
        if running is not None and running is not asking and self._joins(asking, running):
            self._more = asking
            self._joined.append(asking)
            asking.companion = running
            recorder.before_more(depth, ready)
            return
        if running is None or self._counted:
            self.untracked_ns += now - (self._last_ns or now)
        elif running.gone_ns:
            self.untracked_ns += now - running.gone_ns
        if running is not asking:
            self._give_way(asking, running)
        elif self._held is not None and self._counted:
            # it trains by itself; what was set aside was a look at a batch
            recorder.release()
            self._held = None
        recorder.block = asking.number
        self._open, self._counted, self._bare = asking, False, False
        self._beside += 1
        if self._joined:
            self._joined.clear()
        if is_made(asking, depth, ready):
            self.making = LATER if asking.fetched else FIRST
        recorder.before_next(depth, ready)
        self._watcher.fetched(now)

    def got(self, asking: Pass) -> None:
        """It has its batch."""
        recorder = self.recorder
        if self._more is asking:
            self._more = None
            asking.joined_ns += recorder.after_more()
        else:
            asked_ns = recorder.told_ns
            recorder.got_batch(asking.loader.samples_of(asking.fetched), FORWARD)
            self.computing = asking.loader.trains
            if self.making and asking.loader.trains:
                self.making_ns += recorder.told_ns - asked_ns
        self.making = None
        asking.fetched += 1

    def ended(self, asking: Pass) -> None:
        """It was at its end."""
        recorder = self.recorder
        asking.over, self.making = True, None
        if self._more is asking:
            self._more = None
            recorder.after_more()
        elif asking in self._ahead and recorder.reopen():
            # the last batch is still to be computed with
            self._counted = True
        else:
            self._drop()
        self._ahead.discard(asking)
        self._watcher.pass_over(asking, exhausted=True)
        recorder.flush()

    def failed(self, asking: Pass) -> None:
        """It raised: there is no batch."""
        self.making = None
        if self._more is asking:
            self._more = None
        else:
            self._drop()

    def left(self, passed: Pass) -> None:
        """Nobody holds its iterator any more."""
        passed.gone_ns = self.recorder.now_ns()
        self._ahead.discard(passed)
        if self._open is passed:
            if self._counted and not self._first.splits:
                self._close(self._last_ns)
            elif not self._counted and self._beside > 1:
                self._resume(passed.gone_ns)
        if not passed.over:
            passed.over = True
            self._watcher.pass_over(passed, exhausted=False)

    def _joins(self, asking: Pass, running: Pass) -> bool:
        """Whether a fetch belongs to the step of another pass that runs."""
        if self._counted or self._held is not None or asking in self._joined:
            return False
        if running.gradients and not asking.gradients:
            return False
        return asking.companion is running or asking.loader.number in running.loader.companions

    def _give_way(self, asking: Pass, running: Pass | None) -> None:
        """The step that runs ends, is set aside, or takes in what was taken for another."""
        recorder = self.recorder
        held = self._held
        self._was_bare = False
        if held is not None and running is not None:
            if not self._is_part(running, held, asking):
                recorder.close_step(self._end_ns(running))
                if self._counted or held is asking:
                    recorder.release()
                    self._held = None
                self._beside = 0
                return
            self._held = None
            self._fold(running, held)
            running = held
            if running is asking:
                return
        self._beside = 0
        if running is None:
            self._was_bare = self._bare
            if self._bare and not self._counted:
                recorder.drop_step()
            elif self._bare:
                recorder.close_step(self._last_ns)
        elif self._counted or (asking.loader.trains and not running.loader.trains):
            recorder.close_step(self._end_ns(running))
        else:
            recorder.hold()
            self._held = running
            self._gradients |= running.gradients

    def _end_ns(self, running: Pass) -> int:
        """When the step that runs ended, which something else follows."""
        return self._last_ns if self._counted else running.gone_ns or self.recorder.now_ns()

    def _is_part(self, running: Pass, held: Pass, asking: Pass | None) -> bool:
        """Whether what runs is a companion of what was set aside, as the next fetch shows."""
        if self._evaluates(running):
            return False
        if asking is held or not self._counted:
            return True
        # a look at a batch comes from the loader that is trained with
        return held.loader is not running.loader

    def _evaluates(self, running: Pass) -> bool:
        """Whether what was fetched beside a step is no part of it: several batches, or without gradients."""
        return self._beside > 1 or self._without_gradients(running)

    def _without_gradients(self, running: Pass) -> bool:
        """Whether a batch shows that it is not trained with: others are fetched with gradients on."""
        return self._gradients and not running.gradients and not running.loader.trains

    def _fold(self, companion: Pass, held: Pass) -> None:
        """What was taken for a step of `companion` is a part of the held one."""
        self.recorder.fold()
        held.loader.companions.add(companion.loader.number)
        held.loader.trains |= companion.loader.trains
        held.backwards += companion.backwards
        held.updates += companion.updates
        companion.loader.trains = False
        companion.companion, companion.backwards, companion.updates = held, 0, 0

    def _drop(self) -> None:
        """No batch came: what was set aside goes on, if it was not trained meanwhile."""
        self.recorder.drop_step()
        if self._held is not None:
            self._resume(0)
            return
        self._open = None
        self._last_ns = self.recorder.now_ns()
        self.unexplained = True

    def _resume(self, at_ns: int) -> None:
        """What was fetched beside the step that was set aside was an evaluation: the step goes on."""
        held, self._held = self._held, None
        if held is not None:
            self.recorder.close_step(at_ns)
            self.recorder.resume(FORWARD)
            self._open = held

    def _settle(self, running: Pass, asking: Pass | None) -> Pass | None:
        """The batch that runs is done with, and it is known what it was; return its pass if it had one."""
        without = self._first.ends(running, asking)
        if without:
            self.trained += without
            self._open, self._bare = None, True
        return self._open

    def _close(self, at_ns: int) -> None:
        self.recorder.close_step(at_ns)
        self._open, self._bare, self._counted = None, False, False
