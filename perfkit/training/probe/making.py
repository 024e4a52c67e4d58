"""Where a loader worker makes its batches: the stack of its main thread, 20 times a second.

Python lets go of its interpreter every 5 ms, or when something waits: a sampler that only waits for its turn
sees what lets go, and never what takes less. So it wakes, lets the thread go on for a random moment, and asks
for its turn at once. The switch interval is short for that moment alone, since it changes how soon a batch is
handed over.
"""

from __future__ import annotations

import contextlib
import random
import sys
import threading
import time
from pathlib import Path

from perfkit.jsonlines import JsonLines
from perfkit.records import LIBRARY, WORKER_STACK
from perfkit.training.probe.frames import Seen, seen_in, users_codes
from perfkit.training.probe.ledger import WorkerLedger
from perfkit.training.probe.libraries import seen_fetching

EVERY_S = 0.05
JITTER_S = 0.01
"""Longest moment that the thread is let go on for: several pieces that take less than a switch interval."""
SWITCH_S = 0.0001
WRITE_EVERY_S = 1.0
"""What a worker that is killed loses; its trainer ends it as it likes."""


class MakingStacks:
    """A thread that looks at the one that makes batches, in a loader worker.

    Args:
        path: file for what it sees, one JSON object a line, told again when it has grown.
        ledger: knows whether a batch is being made now, and is told what looking takes.
    """

    def __init__(self, path: Path, ledger: WorkerLedger) -> None:
        self._lines = JsonLines(path)
        self._ledger = ledger
        self._thread = threading.get_ident()
        # a forked worker has the loop of its trainer below it
        self._below = users_codes(sys._getframe())
        self._sums: dict[Seen, float] = {}
        self._written: dict[Seen, float] = {}
        self._jitter = random.Random()
        self._over = threading.Event()
        self._sampling = threading.Thread(target=self._run, name="perfkit-stacks", daemon=True)

    def start(self) -> None:
        """Begin to look, if there is a thread left to have."""
        with contextlib.suppress(RuntimeError):
            self._sampling.start()

    def stop(self) -> None:
        """Look no more, and write what has not been written."""
        self._over.set()
        if self._sampling.ident is not None:
            self._sampling.join(2 * EVERY_S)
        self._write()

    def _run(self) -> None:
        before = write_at = time.perf_counter()
        while not self._over.wait(EVERY_S):
            if self._ledger.makes:
                self._look(before)
            before = time.perf_counter()
            self._ledger.sampling_cpu_s = time.thread_time()
            if before >= write_at:
                write_at = before + WRITE_EVERY_S
                self._write()

    def _look(self, before_s: float) -> None:
        usual_s = sys.getswitchinterval()
        sys.setswitchinterval(min(SWITCH_S, usual_s))
        try:
            time.sleep(self._jitter.uniform(0, JITTER_S))
            frame = sys._current_frames().get(self._thread)
        finally:
            # at once: with the short one the thread may go on while its frames are walked
            sys.setswitchinterval(usual_s)
        if frame is None or not self._ledger.makes:
            return
        seen = seen_in(frame, self._below)
        if not seen.called:
            seen = seen_fetching(frame) or Seen("", 0, LIBRARY, "", "", 0, False)
        self._sums[seen] = self._sums.get(seen, 0.0) + time.perf_counter() - before_s

    def _write(self) -> None:
        """Append what has grown; on a disk that is full it is lost."""
        with contextlib.suppress(OSError):
            for seen, seconds in list(self._sums.items()):
                if self._written.get(seen) != seconds:
                    self._lines.append({"event": WORKER_STACK, **seen.told(), "seconds": seconds})
                    self._written[seen] = seconds
