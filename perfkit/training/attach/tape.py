"""What a loop of short steps does, noted with its moments and worked up some steps later.

Each step drives our code out of the caches: worked up call by call, those of one took some 90 µs here. Noted,
they take a clock's reading and a place on a list, and sixteen steps are worked up together. Nothing is told
differently: `Steps` gets the same calls in the same order, on the clock of the notes.

Not where marks have to be put into a device's queue, and not where a second thread does something.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from perfkit.training.attach.passes import Steps

SHORT_S = 0.025
"""Steps that take less are noted; of longer ones our calls take less than 0.5 % as it is."""
MOST_NOTES = 96
"""Sixteen steps of six calls, as often as memory is looked at (`attach.facts`)."""
MOST_NS = 250_000_000
"""What was noted so long ago is worked up at the next batch."""
_now_ns = time.perf_counter_ns


class Tape:
    """Notes of the thread that trains.

    Args:
        steps: gets them.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._notes: deque[tuple[int, Callable[..., None], tuple[Any, ...]]] = deque()
        self._at_ns = 0
        self._playing = threading.RLock()
        self._plays = False
        self._noted = self._played = 0
        self._once: deque[tuple[int, Callable[[], None]]] = deque()
        steps.is_behind, steps.once_known = True, self.once_played

    def note(self, what: Callable[..., None], *args: Any) -> None:
        """Note that a method of `Steps` would have been called."""
        self._noted += 1
        self._notes.append((_now_ns(), what, args))

    def once_played(self, do: Callable[[], None]) -> None:
        """Do something once all that was noted until now has been worked up."""
        noted = self._noted
        if noted <= self._played:
            do()
        else:
            self._once.append((noted, do))

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
                        self._at_ns, what, args = notes.popleft()
                        self._played += 1
                        what(steps, *args)
                        while self._once and self._once[0][0] <= self._played:
                            self._once.popleft()[1]()
                # so that a kill loses no more than without notes
                steps.recorder.write_ahead(_now_ns(), MOST_NS)
            finally:
                self._plays = False
                steps.recorder.own_ns += _now_ns() - began_ns

    def _clock(self) -> int:
        return self._at_ns
