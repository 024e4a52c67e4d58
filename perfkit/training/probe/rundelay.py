"""How long the training thread could have run and had no core: the kernel's own count.

The second field of `/proc/self/task/TID/schedstat` (Documentation/scheduler/sched-stats.rst), nanoseconds
that the thread stood in a run queue. It sees neither memory bandwidth nor time a hypervisor stole. One
`pread` costs 2 µs while its code lies in the caches, and 30 to 40 once a training step has driven it out.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from perfkit.records import NAN, UNKNOWN

if TYPE_CHECKING:
    from perfkit.training.probe.steps import Step

READ_EVERY_NS = 50_000_000
"""Shorter steps share one reading: 40 µs are 0.08 % of this. A block lasts eight times as long and more, and
begins and ends with a reading of its own, so its sum is the kernel's."""


class RunDelay:
    """Reads the run delay of the thread that asks first; the others have their own."""

    def __init__(self) -> None:
        self._file = -1
        self._known = True

    def read_ns(self) -> int:
        """Return nanoseconds waited for a core since the thread began; -1 where the system does not tell."""
        if self._file < 0 and not self._begin():
            return UNKNOWN
        try:
            return int(os.pread(self._file, 64, 0).split(b" ", 2)[1])
        except (OSError, ValueError, IndexError):
            self.close()
            return UNKNOWN

    def close(self) -> None:
        """Let go of the file; nothing is told from now on."""
        self._known = False
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _begin(self) -> bool:
        if not self._known:
            return False
        try:
            self._file = self._opened()
            # a thread that asks has run: a kernel that says it has not does not count
            self._known = os.pread(self._file, 64, 0).split()[0] != b"0"
        except (OSError, IndexError, AttributeError):
            self._known = False
        if not self._known:
            self.close()
        return self._known

    @staticmethod
    def _opened() -> int:
        return os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)


class SharedDelay:
    """Spreads what the thread waited between two readings equally over the steps between them.

    Args:
        source: tells the run delay; it is closed with this.
    """

    def __init__(self, source: RunDelay) -> None:
        self.due_ns = 0
        """At the first end of a step from then on, `read`."""
        self.steps: list[Step] = []
        """Those that have ended since the last reading; they must not be written before the next one."""
        self._source = source
        self._before_ns = UNKNOWN
        self._once = self._has_read = False

    def read(self, now_ns: int, running: Step | None = None, others: int = 0) -> float:
        """Take a reading, and give its share to every step it covers.

        Args:
            running: a step that has not ended and takes a share too.
            others: further steps that it covers.

        Returns:
            The share in seconds; NaN where it is not known.
        """
        before_ns = self._before_ns
        if not self._has_read:
            self._before_ns = self._source.read_ns()
        self._has_read = self._once
        delay_ns = self._before_ns
        self.due_ns = now_ns + READ_EVERY_NS
        steps = self.steps
        if running is not None:
            steps.append(running)
        count = len(steps) + others
        if not count or delay_ns < 0 or before_ns < 0:
            steps.clear()
            return NAN
        share_s = (delay_ns - before_ns) * 1e-9 / count
        for step in steps:
            step.waited_for_core(share_s)
        steps.clear()
        return share_s

    @contextlib.contextmanager
    def once(self) -> Iterator[None]:
        """Take one reading at most: steps that have ended are told of together."""
        self._once = True
        try:
            yield
        finally:
            self._once = self._has_read = False

    def pause(self, now_ns: int) -> None:
        """Take the last reading of a stretch; what the thread waits until the next one is no step's."""
        if self.steps:
            self.read(now_ns)
        self.due_ns = 0

    def reopen(self, step: Step) -> None:
        """The step that ended last goes on."""
        if self.steps and self.steps[-1] is step:
            self.steps.pop()

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()
