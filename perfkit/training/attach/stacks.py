"""What the training thread does in the time that nothing else explains: its stack, at most 20 times a second.

Sampled is what comes after an update. Whether that was the step's last one is known only when the next
batch is asked for: until then the samples wait, and a further backward discards them.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from perfkit.training.attach.folder import ProcessFolder
from perfkit.training.attach.loaders import is_users, place
from perfkit.training.attach.passes import Steps

EVERY_S = 0.05


class StackSampler:
    """A thread that looks at another one's stack.

    Args:
        steps: tells whether the time that passes is explained.
        thread: identifier of the thread to look at.
    """

    def __init__(self, steps: Steps, thread: int) -> None:
        self._steps = steps
        self._thread = thread
        self._sums: dict[tuple[str, int, str], float] = {}
        self._waiting: list[tuple[int, tuple[str, int, str], float]] = []
        self._told: dict[tuple[str, int, str], float] = {}
        self._over = threading.Event()
        self._sampling = threading.Thread(target=self._run, name="perfkit-stacks", daemon=True)
        self._sampling.start()

    def commit(self) -> None:
        """A batch is asked for: what was seen since the last update belonged to no step."""
        waiting, self._waiting = self._waiting, []
        moment = self._steps.moment - 1
        for seen_in, where, seconds in waiting:
            if seen_in == moment:
                self._sums[where] = self._sums.get(where, 0.0) + seconds

    def tell(self, folder: ProcessFolder) -> None:
        """Append what has changed."""
        for (path, line, function), seconds in list(self._sums.items()):
            if self._told.get((path, line, function)) != seconds:
                folder.event("stack", where=place(path, line), function=function, seconds=seconds)
                self._told[(path, line, function)] = seconds

    def stop(self) -> None:
        """Sample no more."""
        self.commit()
        self._over.set()
        self._sampling.join(2 * EVERY_S)

    def forget(self) -> None:
        """In a forked child there is no such thread."""
        self._over.set()

    def _run(self) -> None:
        before = time.perf_counter()
        while not self._over.wait(EVERY_S):
            now = time.perf_counter()
            moment = self._steps.moment
            frame = sys._current_frames().get(self._thread) if self._steps.unexplained else None
            if frame is not None:
                self._waiting.append((moment, _innermost(frame), now - before))
            before = now


def _innermost(frame: Any) -> tuple[str, int, str]:
    """Return the innermost line of the user's own code, or of any where there is none."""
    place = (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            return frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        frame = frame.f_back
    return place
