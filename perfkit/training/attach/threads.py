"""Threads of a script beside the one that trains: which of them takes over, and what they fetch.

A script may train in a new thread for every epoch, or start its trainer after a warm-up in the main thread;
and a thread of its own may fetch the batches that another one trains with. Where two threads train at a time,
one alone is followed, and that is told: what it takes is not its loop's alone.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass

from perfkit.training.attach.folder import ProcessFolder
from perfkit.training.attach.loaders import Pass
from perfkit.training.attach.passes import Steps
from perfkit.training.attach.watcher import queue_of
from perfkit.training.probe.frames import OURS

WHOLE_STEP = 2
"""A backward and an update; a thread that makes more while the one that trains does nothing takes over."""
AT_ONCE = 3
"""So many backwards or updates of a thread amid another one's steps, which goes on between them, show that
both train at a time; one that hands a part of its step to another thread waits for it."""
LEAST_BATCHES = 2
"""A thread that fetches so many, and computes with none, fetches for another one."""


@dataclass
class _Thread:
    """What was last seen of a thread, and when."""

    moment: int
    """Of the thread that trains; see `Steps.moment`."""
    asking: Pass | None
    computed: int = 0
    """Backwards and updates that it has made since."""
    trained: int | None = None
    """Steps of the thread that trains when it last computed."""


class OtherThreads:
    """Decides which thread is the one that trains: the one that computes, until it is over or rests.

    One that is over is followed at once. One that rests after an update, as in `Thread.join`, is followed by
    a thread that fetches and computes meanwhile; one that was left amid a step, after a whole step of the
    other's. From when two of them are seen to train at a time none takes over from one that is alive.
    """

    def __init__(self) -> None:
        self._seen: dict[int, _Thread] = {}
        self._batches: dict[tuple[int, int], int] = {}  # by thread and loader
        self._written: dict[int, int] = {}
        self.moving = threading.Lock()
        """Held while it is decided."""
        self.at_once = False
        """Whether two threads were seen to train at a time."""
        self._wrote_at_once = False
        self._amid = 0  # times that one computed amid a step of another
        self._trained = 0  # steps before the one that trains took over
        self._native_id = 0

    def is_another(self, thread: int) -> bool:
        """Whether the thread that calls has the number of the one that trained, which is over.

        Args:
            thread: that number.
        """
        if thread != threading.get_ident():
            return False
        before, self._native_id = self._native_id, threading.get_native_id()
        return before not in (0, self._native_id)

    def may_take_over(self, thread: int, steps: Steps, asking: Pass | None) -> bool:
        """Whether the thread that calls becomes the one that trains.

        Args:
            thread: the one that does so far.
            asking: the pass that is asked for a batch; None where a backward or an update begins.
        """
        own, moment = threading.get_ident(), steps.moment
        if thread not in {one.ident for one in threading.enumerate()}:
            return True
        if self.at_once:
            return False
        if asking is not None:
            of = own, asking.loader.number
            self._batches[of] = self._batches.get(of, 0) + 1
        elif steps.trained == self._trained:
            # the loop is where it computes, whoever asked for an iterator first
            return True
        seen = self._seen.get(own)
        if asking is not None or seen is None or seen.moment != moment:
            before = 0 if seen is None or seen.moment != moment else seen.computed
            trained = None if seen is None else seen.trained
            seen = self._seen[own] = _Thread(moment, asking, before, trained)
        elif steps.rests:
            return not _in_our_code(thread)
        if asking is None:
            self._computes(seen, steps)
        return seen.computed > WHOLE_STEP and not self.at_once and not _in_our_code(thread)

    def _computes(self, seen: _Thread, steps: Steps) -> None:
        """A thread computes beside the one that trains."""
        before, seen.trained = seen.trained, steps.trained
        seen.computed += 1
        if not steps.rests and before is not None and steps.trained > before:
            self._amid += 1
            self.at_once = self._amid >= AT_ONCE

    def takes_over(self, steps: Steps, asking: Pass | None) -> None:
        """The thread that calls becomes the one that trains; what the one before it had is closed.

        A batch that it has fetched begins its step now: what it waited for it is not known.
        """
        own = threading.get_ident()
        if steps.trained > self._trained:
            steps.end()
        steps.forget()
        steps.recorder.another_thread()
        self._trained, self._native_id = steps.trained, threading.get_native_id()
        self._batches = {of: count for of, count in self._batches.items() if of[0] != own}
        seen, self._seen = self._seen.get(own), {}
        if asking is None and seen is not None and seen.asking is not None:
            steps.asks(seen.asking, *queue_of(seen.asking))
            steps.got(seen.asking)

    @property
    def fetch(self) -> bool:
        """Whether any of them gives batches to the one that trains."""
        return bool(self._written)

    def write(self, folder: ProcessFolder) -> None:
        """Append what is new of them."""
        if not self._batches and not self.at_once:
            return
        for loader, batches in self.news().items():
            folder.event("other_thread", loader=loader, batches=batches)
        if self.at_once and not self._wrote_at_once:
            self._wrote_at_once = True
            folder.event("threads_at_once")

    def news(self) -> dict[int, int]:
        """Return the batches that other threads have fetched, by loader; each loader once."""
        found: dict[int, int] = {}
        for (_, loader), count in list(self._batches.items()):
            found[loader] = found.get(loader, 0) + count
        new = {n: c for n, c in found.items() if c >= LEAST_BATCHES and n not in self._written}
        self._written |= new
        return new


def _in_our_code(thread: int) -> bool:
    """Whether a thread runs code of ours now, which must not find its state another thread's."""
    frame = sys._current_frames().get(thread)
    return frame is not None and frame.f_code.co_filename.startswith(OURS)
