"""Which step a backward and an update belong to; see `attach.fetches` for the batches.

Several updates on the first batch that was ever trained with are one step if its loader is asked for another
batch, and steps without a loader if it is not; see `attach.first`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfkit.records import BACKWARD, FORWARD, OPTIMIZER
from perfkit.training.attach.fetches import Fetches, is_made
from perfkit.training.attach.first import FirstBatch
from perfkit.training.attach.loaders import Pass
from perfkit.training.attach.recorder import LateRecorder
from perfkit.training.attach.watcher import Watcher

NO_LOADER = -1
"""Block of steps that are updates of a loop without a loader."""
MOST_BACKWARDS = 48
"""Without an update that is seen, of a loop without a loader; from then on a backward is a step: weights are
changed by hand. More than are added up for one update (nanoGPT's 40)."""


class Steps(Fetches):
    """Tells the recorder what a script does, call by call; every call comes from the thread that trains."""

    def __init__(self, recorder: LateRecorder, watcher: Watcher) -> None:
        super().__init__(recorder, watcher)
        self._said = False
        self._outer: Any = None  # the optimizer whose step() runs
        self._depth = 0
        self._began_ns = 0  # when what is the update alone began
        self._forward_ns = 0  # when the last one of a step without a loader ended
        self._inside = False  # and whether what ran before it was explained
        self._backwards = 0  # without a loader and without an update, as long as none was seen

    def asks(self, asking: Pass, depth: int, ready: int, gradients: bool) -> None:
        self._outer, self._depth, self.updating = None, 0, False
        super().asks(asking, depth, ready, gradients)

    def is_plain(self, asking: Pass) -> bool:
        """Whether a batch that this pass asks for may begin a step that `plain_steps` tells."""
        return (
            asking is self._open
            and self._counted
            and self._loader_trains
            and asking.loader.trains
            and bool(asking.backwards)
            and not (self._depth or self._joined)
            and self._more is None
            and self._held is None
            and self.recorder.is_plain
        )

    def plain_steps(
        self, asks: Sequence[tuple[Pass, int, int, bool]], optimizer: Any, at_ns: Sequence[int]
    ) -> None:
        """Tell of whole steps at once: `asks`, `got`, one backward and one update each; see `is_plain`.

        Args:
            asks: what `asks` is called with, by steps; the same pass each time.
            optimizer: made the updates.
            at_ns: when the calls were made, six for each step.
        """
        count, recorder, asking = len(asks), self.recorder, asks[0][0]
        asked, got, begun, ended, updating, updated = (sum(at_ns[n::6]) for n in range(6))
        self.moment += 1
        self.untracked_ns += at_ns[0] - (self._last_ns or at_ns[0])
        recorder.block = asking.number
        samples = [asking.loader.samples_of(asking.fetched + n) for n in range(count)]
        recorder.plain_steps([ask[1:3] for ask in asks], samples, at_ns)
        self._watcher.fetched(at_ns[0], count)
        self._last_ns = at_ns[-1]
        # between backward and update, and from one step to the next
        self.untracked_ns += updating - ended + (asked - at_ns[0]) - (updated - self._last_ns)
        if is_made(*asks[0][:3]):
            self.making_ns += got - asked
        self.forward_ns += begun - got
        self.backward_ns += ended - begun
        self.update_ns += updated - updating
        self.forwards.extend(range(self.moment, self.moment + 3 * count, 3))
        self.gaps.extend(range(self.moment + 1, self.moment + 1 + 3 * count, 3))
        self.updates.extend(range(self.moment + 2, self.moment + 2 + 3 * count, 3))
        self.moment += 3 * count - 1
        self.trained += count
        self._beside += count
        self._gradients |= any(ask[3] for ask in asks)
        asking.gradients = asks[-1][3]
        asking.fetched += count
        asking.backwards += count
        asking.updates += count
        self._watcher.updated(optimizer)

    def forward_begins(self) -> bool:
        """The outermost module is called; whether that is a forward of a step without a loader."""
        if not self._bare or self._open is not None:
            return False
        now = self.recorder.now_ns()
        self._inside = bool(self._depth)
        if not self._inside:
            self.untracked_ns += now - (max(self._last_ns, self._forward_ns) or now)
        self.moment += 1
        self.unexplained = False
        self.recorder.enter(FORWARD)
        return True

    def forward_ends(self) -> None:
        self.recorder.leave(FORWARD)
        self._forward_ns = self.recorder.told_ns
        self.moment += 1
        self.unexplained = not self._inside
        self.sees_forward = True

    def backward_begins(self) -> None:
        """The outermost backward begins."""
        recorder = self.recorder
        began_ns = recorder.told_ns if self.computing else 0
        if began_ns:
            self.forwards.append(self.moment)
            self.computing = False
        self.moment += 1
        self.unexplained = False
        self._computes()
        if self._counted or self._bare:
            if not self._bare and not self._depth:
                # a further backward of a step: what led to it is its forward
                recorder.claim(FORWARD)
            recorder.enter(BACKWARD)
        else:
            recorder.turn(FORWARD, BACKWARD)
            if began_ns:
                self.forward_ns += recorder.told_ns - began_ns

    def backward_ends(self) -> None:
        recorder = self.recorder
        began_ns = recorder.told_ns
        recorder.leave(BACKWARD)
        self.backward_ns += recorder.told_ns - began_ns
        alone = self._is_a_step()
        self._count(updated=alone)
        if alone:
            self._counted = False
            recorder.begin_update()
        running = self._open
        if running is not None:
            running.backwards += 1
        if self._depth:
            # backward inside step(): what led to it was the forward
            if not self.updating:
                recorder.enter(OPTIMIZER)
                self.updating = True
            self._began_ns = recorder.told_ns

    def update_begins(self, optimizer: Any) -> None:
        """`optimizer.step` begins."""
        if self._depth:
            # an optimizer made of others counts once; the same one again is one that raised before
            self._depth = 1 if self._outer is optimizer else self._depth + 1
            return
        self.computing = False
        follows = self._counted and self.unexplained
        if follows:
            self.gaps.append(self.moment)
        self.moment += 1
        self.unexplained = False
        self._computes()
        self._outer, self._depth, self.updating = optimizer, 1, False
        if self._open is None or self._counted:
            self.recorder.enter(OPTIMIZER)
            self.updating, self._began_ns = True, self.recorder.told_ns
            if follows:
                self.untracked_ns += self.recorder.told_ns - self._last_ns

    def update_ends(self, optimizer: Any) -> None:
        if not self._depth:
            return
        self._depth -= 1
        if self._depth:
            return
        recorder = self.recorder
        if not self.updating:  # an update without a backward
            recorder.leave(FORWARD)
            recorder.enter(OPTIMIZER)
            self._began_ns = recorder.told_ns
        recorder.leave(OPTIMIZER)
        self.update_ns += recorder.told_ns - self._began_ns
        self.updates.append(self.moment)
        self._outer, self.updating = None, False
        self._count(updated=True)
        self._backwards = -1
        running = self._open
        if running is not None:
            running.updates += 1
            if not self._loader_trains and self._held is None:
                self._first.updated(optimizer)
                if self._first.is_known:
                    self._settle(running, None)
        if self._bare:
            self._counted = False
            recorder.begin_update()
        self._watcher.updated(optimizer)

    def end(self) -> None:
        """Nothing follows: what runs ends with its last backward or update."""
        held, running = self._held, self._open
        if running is not None:
            running = self._settle(running, None)
        if held is not None and running is not None:
            if self._counted and self._is_part(running, held, None):
                self._fold(running, held)
            else:
                self.recorder.release()
            self._held = None
        if self._counted:
            self._close(self._last_ns)
        elif self._open is not None:
            self._close(self._open.gone_ns or self.recorder.now_ns())

    def forget(self) -> None:
        """What was fetched until now was not fetched by the loop: nothing of it stays."""
        self.recorder.forget()
        self._open = self._held = self._more = None
        self._first = FirstBatch(self.recorder)
        self._counted = self._bare = False

    def _count(self, *, updated: bool) -> None:
        """A backward or an update has ended."""
        self.unexplained = True
        running = self._open
        if running is None and not self._bare:
            return
        self._last_ns = self.recorder.told_ns
        if not self._counted:
            self._counted = True
            self.trained += 1
            self._gradients |= running is None or running.gradients
            if running is not None:
                self._begins_training(running)
        if not self._said and (updated or not self._bare):
            self._said = True
            self._watcher.trains()

    def _is_a_step(self) -> bool:
        """Whether a backward that has ended is a step by itself: no loader and no update was ever seen."""
        if self._depth or not self._bare or self._loader_trains or self._backwards < 0:
            return False
        self._backwards += 1
        return self._backwards >= MOST_BACKWARDS

    def _begins_training(self, running: Pass) -> None:
        """The first backward or update with a batch."""
        if not self._loader_trains:
            self._first.begin()
        self._was_bare = False
        self._loader_trains |= running.loader.trains
        running.loader.trains = True
        if not running.backwards and not running.updates and running.fetched > 1:
            self._ahead.add(running)

    def _computes(self) -> None:
        """A backward or an update begins: with whose batch?"""
        running = self._open
        if running is None:
            if not self._bare:
                self._begin_bare()
            elif not self._counted:
                now = self.recorder.now_ns()
                self.untracked_ns += now - (max(self._last_ns, self._forward_ns) or now)
                self.bare_steps += 1
                self._watcher.fetched(now)
        elif self._counted:
            self._first.goes_on(running, NO_LOADER, self._last_ns)
        elif not self._evaluates(running):
            return
        elif self._held is not None:
            if self._held.loader is not running.loader:
                self._resume(self.recorder.now_ns())
        elif self._was_bare or self._without_gradients(running):
            self.recorder.close_step(self.recorder.now_ns())
            self._open = None
            self._begin_bare()

    def _begin_bare(self) -> None:
        """A backward or an update outside the steps of loaders."""
        self._bare, self._counted = True, False
        self.recorder.block = NO_LOADER
        self.recorder.begin_update()
