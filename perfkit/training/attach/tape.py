"""What a loop of short steps does, noted with its moments and worked up some steps later.

Each step drives our code out of the caches: worked up call by call, those of one took some 90 µs here. Noted,
they take a clock's reading and a place on a list, and many steps are worked up together. Nothing is told
differently: `Steps` gets the same calls in the same order, on the clock of the notes, and those of a whole
step, where it is like the one before, at once.

Not where marks have to be put into a device's queue, and not where a second thread does something.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from perfkit.training.attach.loaders import Pass
from perfkit.training.attach.passes import Steps
from perfkit.training.attach.watcher import queue_of

SHORT_S = 0.025
"""Steps that take less are noted; of longer ones our calls take less than 0.5 % as it is."""
MOST_NOTES = 384
"""Of sixty-four steps that are six calls each: as many records are written together."""
MOST_NS = 250_000_000
"""What was noted so long ago is worked up at the next batch."""
_asks, _backward_begins, _backward_ends = Steps.asks, Steps.backward_begins, Steps.backward_ends
_update_begins, _update_ends = Steps.update_begins, Steps.update_ends
PLAIN_STEP = [_asks, Steps.got, _backward_begins, _backward_ends, _update_begins, _update_ends]
"""Calls of a step that most loops are made of: one batch, one backward, one update."""
_Note = tuple[Any, ...]
"""When, a method of `Steps`, and its arguments."""
_now_ns = time.perf_counter_ns


class Tape:
    """Notes of the thread that trains.

    Args:
        steps: gets them.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._notes: deque[_Note] = deque()
        self._at_ns = 0
        self._playing = threading.RLock()
        self._plays = False
        self._played = 0
        self._once: deque[tuple[int, Callable[[], None]]] = deque()
        steps.is_behind, steps.once_known = True, self.once_played

    def asks(self, asking: Pass, before_ns: int) -> bool:
        """Note that a pass asks for a batch, unless it is that late; returns whether it was noted."""
        now_ns = _now_ns()
        if now_ns >= before_ns:
            return False
        if self.is_due(now_ns):
            self.play()
            now_ns = _now_ns()
        self._notes.append((now_ns, _asks, asking, *queue_of(asking)))
        return True

    def happened(self, what: Callable[..., None], *args: Any) -> None:
        """Note that a method of `Steps` would have been called."""
        self._notes.append((_now_ns(), what, *args))

    def backward_begins(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._notes.append((_now_ns(), _backward_begins))

    def backward_ends(self) -> None:
        self._notes.append((_now_ns(), _backward_ends))

    def update_begins(self, optimizer: Any) -> None:
        self._notes.append((_now_ns(), _update_begins, optimizer))

    def update_ends(self, optimizer: Any) -> None:
        self._notes.append((_now_ns(), _update_ends, optimizer))

    def once_played(self, do: Callable[[], None]) -> None:
        """Do something once all that was noted until now has been worked up."""
        with self._playing:
            if self._notes:
                self._once.append((self._played + len(self._notes), do))
                return
        do()

    def is_due(self, now_ns: int) -> bool:
        """Whether it is time to work up what was noted."""
        notes = self._notes
        return len(notes) >= MOST_NOTES or (bool(notes) and now_ns - notes[0][0] >= MOST_NS)

    def play(self) -> None:
        """Work up what was noted; what was not, since a call raised, stays for the next time."""
        notes, steps = self._notes, self._steps
        with self._playing:
            # what is worked up may ask for it again
            if not notes or self._plays:
                return
            self._plays = True
            began_ns = _now_ns()
            try:
                with steps.recorder.clock_of(self._clock):
                    while notes:
                        if not self._play_steps():
                            self._at_ns, what, *args = notes.popleft()
                            self._played += 1
                            what(steps, *args)
                        while self._once and self._once[0][0] <= self._played:
                            self._once.popleft()[1]()
                # while all of it lies in the caches, and so that a kill loses no more than without notes
                steps.recorder.flush()
            finally:
                self._plays = False
                steps.recorder.own_ns += _now_ns() - began_ns

    def _play_steps(self) -> bool:
        """Work up together what is noted of whole steps that are like the one before them, if anything is."""
        notes, once, length = self._notes, self._once, len(PLAIN_STEP)
        most = (once[0][0] - self._played if once else len(notes)) // length
        if not most or [note[1] for note in islice(notes, length)] != PLAIN_STEP:
            return False
        if not self._steps.is_plain(notes[0][2]):
            return False
        whole = list(islice(notes, most * length))
        calls = [note[1] for note in whole]

        def is_like_first(at: int) -> bool:
            plain = calls[at : at + length] == PLAIN_STEP
            return plain and all(whole[at + n][2] is whole[n][2] for n in (0, 4))

        count = 1
        while is_like_first(count * length):
            count += 1
        del whole[count * length :]
        for _ in whole:
            notes.popleft()
        self._played += len(whole)
        self._at_ns = whole[0][0]
        asks = [note[2:] for note in whole[::length]]
        self._steps.plain_steps(asks, whole[4][2], [note[0] for note in whole])
        return True

    def _clock(self) -> int:
        return self._at_ns
