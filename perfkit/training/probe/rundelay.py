"""How long the training thread could have run and had no core: the kernel's own count.

The second field of `/proc/self/task/TID/schedstat` (Documentation/scheduler/sched-stats.rst), nanoseconds
that the thread stood in a run queue. It sees neither memory bandwidth nor time a hypervisor stole. One
`pread` costs about half a microsecond.
"""

from __future__ import annotations

import os
import threading

from perfkit.records import UNKNOWN


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
