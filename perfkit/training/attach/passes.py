"""Which step a fetch, a backward and an update belong to: a script is told apart by the order it does things.

A pass is one iteration over a DataLoader. Each batch it fetches is a step until something else follows.
Another pass that fetches once while a step has no backward yet is its companion (`zip` of two loaders) if
the first one fetches next, and an evaluation of its own if it fetches again itself.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from perfkit.records import BACKWARD, FORWARD, OPTIMIZER
from perfkit.training.attach.loaders import Pass
from perfkit.training.attach.recorder import LateRecorder

NO_LOADER = -1
"""Block of steps that are updates of a loop without a loader."""


class Watcher(Protocol):
    """Who is told what the steps show."""

    def trains(self) -> None:
        """The first backward on a loader's batch, or the first update: this process trains."""

    def updated(self, optimizer: Any) -> None:
        """An update has been made."""

    def pass_over(self, over: Pass, *, exhausted: bool) -> None:
        """A pass will fetch no more."""

    def fetched(self, now_ns: int) -> None:
        """A batch is asked for."""


class Steps:
    """Tells the recorder what a script does, call by call; every call comes from the thread that trains."""

    def __init__(self, recorder: LateRecorder, watcher: Watcher) -> None:
        self.recorder = recorder
        self.trained = 0
        """Steps in which a backward or an update happened."""
        self.untracked_ns = 0
        """Time outside next() and outside what lies between a batch and its last update."""
        self.unexplained = False
        """Whether what happens now belongs to no step, unless a backward or an update follows it."""
        self.moment = 0
        """Counts what happens; see `unexplained`."""
        self._watcher = watcher
        self._open: Pass | None = None
        self._held: Pass | None = None
        self._more: Pass | None = None
        self._bare = False  # the step that runs has no loader
        self._a_loader_trains = False
        self._told = False
        self._counted = False
        self._last_ns = 0  # the last backward or update, or the end of a pass
        self._outer: Any = None  # the optimizer whose step() runs
        self._depth = 0
        self._updating = False

    def asks(self, asking: Pass) -> None:
        """A pass asks for a batch."""
        recorder = self.recorder
        now = time.perf_counter_ns()
        self._outer, self._depth, self._updating = None, 0, False
        self.moment += 1
        self.unexplained = False
        running = self._open
        if running is not None and running is not asking and self._joins(asking, running):
            self._more = asking
            asking.companion = running
            recorder.before_more()
            return
        if running is None or self._counted:
            self.untracked_ns += now - (self._last_ns or now)
        elif running.gone_ns:
            self.untracked_ns += now - running.gone_ns
        if running is not asking:
            self._give_way(asking, running)
        elif self._held is not None:
            recorder.release()
            self._held = None
        recorder.block = asking.number
        self._open, self._counted, self._bare = asking, False, False
        recorder.before_next(asking.depth(), asking.ready())
        self._watcher.fetched(now)

    def got(self, asking: Pass) -> None:
        """It has its batch."""
        recorder = self.recorder
        if self._more is asking:
            self._more = None
            recorder.after_more()
        else:
            recorder.got_batch(asking.loader.samples_of(asking.fetched), FORWARD)
        asking.fetched += 1

    def ended(self, asking: Pass) -> None:
        """It was at its end."""
        recorder = self.recorder
        asking.over = True
        if self._more is asking:
            self._more = None
            recorder.after_more()
        elif 0 < asking.backwards < asking.fetched and recorder.reopen():
            # it reads ahead: the last batch is still to be computed with
            self._counted = True
        else:
            recorder.drop_step()
            self._open = None
            self._last_ns = time.perf_counter_ns()
            self.unexplained = True
        self._watcher.pass_over(asking, exhausted=True)
        recorder.flush()

    def failed(self, asking: Pass) -> None:
        """It raised: there is no batch."""
        if self._more is asking:
            self._more = None
        else:
            self.recorder.drop_step()
            self._open = None

    def left(self, passed: Pass) -> None:
        """Nobody holds its iterator any more."""
        passed.gone_ns = time.perf_counter_ns()
        if self._held is passed:
            self.recorder.release()
            self._held = None
        if self._open is passed and self._counted:
            self._close(self._last_ns)
        if not passed.over:
            passed.over = True
            self._watcher.pass_over(passed, exhausted=False)

    def backward_begins(self) -> None:
        """The outermost backward begins."""
        recorder = self.recorder
        self.moment += 1
        self.unexplained = False
        if self._open is None:
            self._begin_bare()
        elif not self._counted:
            recorder.turn(FORWARD, BACKWARD)
            return
        recorder.enter(BACKWARD)

    def backward_ends(self) -> None:
        recorder = self.recorder
        recorder.leave(BACKWARD)
        self._count(updated=False)
        running = self._open
        if running is not None:
            running.backwards += 1
            running.loader.trains = self._a_loader_trains = True
        if self._depth and not self._updating:
            # backward inside step(): what led to it was the forward
            recorder.enter(OPTIMIZER)
            self._updating = True

    def update_begins(self, optimizer: Any) -> None:
        """`optimizer.step` begins."""
        if self._depth:
            # an optimizer made of others counts once; the same one again is one that raised before
            self._depth = 1 if self._outer is optimizer else self._depth + 1
            return
        self._outer, self._depth, self._updating = optimizer, 1, False
        self.moment += 1
        self.unexplained = False
        if self._open is None:
            self._begin_bare()
        if self._open is None or self._counted:
            self.recorder.enter(OPTIMIZER)
            self._updating = True

    def update_ends(self, optimizer: Any) -> None:
        if not self._depth:
            return
        self._depth -= 1
        if self._depth:
            return
        recorder = self.recorder
        if not self._updating:  # an update without a backward
            recorder.leave(FORWARD)
            recorder.enter(OPTIMIZER)
        recorder.leave(OPTIMIZER)
        self._outer, self._updating = None, False
        self._count(updated=True)
        running = self._open
        if running is not None:
            running.updates += 1
            running.loader.trains = self._a_loader_trains = True
        elif self._bare:
            self._counted = False
            recorder.begin_update()
            self._watcher.fetched(self._last_ns)
        self._watcher.updated(optimizer)

    def end(self) -> None:
        """Nothing follows: what runs ends with its last backward or update."""
        if self._held is not None:
            self.recorder.release()
        if self._counted:
            self._close(self._last_ns)
        elif self._open is not None and not self._bare:
            self._close(self._open.gone_ns or time.perf_counter_ns())

    def forget(self) -> None:
        """What was fetched until now was not fetched by the loop: nothing of it stays."""
        self.recorder.drop_step()
        self._open = self._held = self._more = None
        self._counted = False

    def _count(self, *, updated: bool) -> None:
        """A backward or an update has ended."""
        self.unexplained = True
        if self._open is None and not self._bare:
            return
        self._last_ns = self.recorder.told_ns
        if not self._counted:
            self._counted = True
            self.trained += 1
        if not self._told and (updated or not self._bare):
            self._told = True
            self._watcher.trains()

    def _joins(self, asking: Pass, running: Pass) -> bool:
        """Whether a fetch belongs to the step of another pass that runs."""
        if self._counted or self._held is not None:
            return False
        return asking.companion is running or asking.loader.number in running.loader.companions

    def _give_way(self, asking: Pass, running: Pass | None) -> None:
        """The step that runs ends, is set aside, or takes in what was taken for another."""
        recorder = self.recorder
        held, self._held = self._held, None
        if held is not None and running is not None:
            if held is asking or not self._counted:
                # it fetched once beside the held step; a third loader may do likewise
                self._fold(running, held)
                running = held
                if running is asking:
                    return
            else:
                recorder.release()
        if running is None:
            if self._bare and not self._counted:
                recorder.drop_step()
            elif self._bare:
                recorder.close_step(self._last_ns)
        elif self._counted:
            recorder.close_step(self._last_ns)
        elif asking.loader.trains or running.gone_ns or running.over:
            recorder.close_step(running.gone_ns or time.perf_counter_ns())
        else:
            recorder.hold()
            self._held = running

    def _fold(self, companion: Pass, held: Pass) -> None:
        """What was taken for a step of `companion` is a part of the held one."""
        self.recorder.fold()
        held.loader.companions.add(companion.loader.number)
        held.loader.trains |= companion.loader.trains
        held.backwards += companion.backwards
        held.updates += companion.updates
        companion.loader.trains = False
        companion.companion, companion.backwards, companion.updates = held, 0, 0

    def _begin_bare(self) -> None:
        """A backward or an update outside the steps of loaders."""
        if not self._bare and not self._a_loader_trains:
            self._bare, self._counted = True, False
            self.recorder.block = NO_LOADER
            self.recorder.begin_update()

    def _close(self, at_ns: int) -> None:
        self.recorder.close_step(at_ns)
        self._open, self._bare, self._counted = None, False, False
