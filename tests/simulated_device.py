"""A simulated asynchronous device: a queue with a clock of its own, and a host that runs ahead of it.

Time is virtual and whole nanoseconds; nothing sleeps, and asking costs nothing. The device implements
`perfkit.training.probe.clocks.Device`, and beside it keeps every kernel it ran, so that what really
happened (`busy_ns`, `idle_ns`, `backlog_ns`) is known without any mark.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Mark:
    """A place in the queue; the device's clock is read there when it is reached."""

    __slots__ = ("given_back", "reached_ns", "stamp_ns")

    def __init__(self) -> None:
        self.reached_ns = 0
        self.stamp_ns = 0.0
        self.given_back = False


class SimulatedDevice:
    """Host and device on virtual time.

    Args:
        launch_ns: host time of one launch.
        queue_limit: launches that may be unfinished; the host blocks at more, as CUDA does at some
            1,000. Marks take no place in the queue.
        latency_ns: from a launch or mark to an idle device reaching it.
        epoch_ns: what the device's clock shows when the host's shows 0.
        rate: seconds on the device's clock per second on the host's.
        start_ns: what the host's clock shows at the beginning.
    """

    def __init__(
        self,
        *,
        launch_ns: int = 4_000,
        queue_limit: int = 1024,
        latency_ns: int = 0,
        epoch_ns: int = 123_456_789_012,
        rate: float = 1.0,
        start_ns: int = 987_654_321,
    ) -> None:
        self.marks_made = 0
        self._launch_ns = launch_ns
        self._queue_limit = queue_limit
        self._latency_ns = latency_ns
        self._epoch_ns = epoch_ns
        self._rate = rate
        self._now_ns = start_ns
        self._capturing = False
        self._unfinished: deque[int] = deque()
        self._free_marks: list[Mark] = []
        self._last_mark_ns = 0
        # kernels in the order they ran, and the work done before each
        self._starts_ns: list[int] = []
        self._ends_ns: list[int] = []
        self._work_before_ns: list[int] = []
        self._launched_ns = 0

    # what a training loop does

    def compute(self, duration_ns: int) -> None:
        """Let the host be busy, or wait for something other than the device."""
        self._now_ns += duration_ns

    def launch(self, duration_ns: int) -> None:
        """Queue a kernel; captured ones do not run."""
        self._now_ns += self._launch_ns
        if self._capturing:
            return
        while self._unfinished and self._unfinished[0] <= self._now_ns:
            self._unfinished.popleft()
        if len(self._unfinished) == self._queue_limit:
            self._now_ns = self._unfinished.popleft()
        start_ns = max(self._now_ns + self._latency_ns, self._idle_from_ns)
        self._starts_ns.append(start_ns)
        self._ends_ns.append(start_ns + duration_ns)
        self._work_before_ns.append(self._launched_ns)
        self._launched_ns += duration_ns
        self._unfinished.append(start_ns + duration_ns)

    def synchronize(self) -> None:
        """Make the host wait until the queue is empty, as `.item()` or a blocking copy do."""
        self._now_ns = max(self._now_ns, self._idle_from_ns, self._last_mark_ns)

    @contextmanager
    def capture(self) -> Iterator[None]:
        """Capture a graph: what is launched does not run, and no mark may be put or asked about."""
        self._capturing = True
        yield
        self._capturing = False

    # what the recorder sees

    def host_ns(self) -> int:
        return self._now_ns

    def record(self) -> Mark | None:
        if self._capturing:
            return None
        if not self._free_marks:
            self._free_marks.append(Mark())
            self.marks_made += 1
        mark = self._free_marks.pop()
        mark.given_back = False
        mark.reached_ns = max(self._now_ns + self._latency_ns, self._idle_from_ns)
        self._last_mark_ns = mark.reached_ns
        mark.stamp_ns = self._epoch_ns + mark.reached_ns * self._rate
        return mark

    def done(self, mark: Mark) -> bool:
        assert not mark.given_back
        return not self._capturing and mark.reached_ns <= self._now_ns

    def elapsed_s(self, first: Mark, second: Mark) -> float:
        """Return float32 milliseconds as seconds, as `cudaEventElapsedTime` does."""
        assert self.done(first) and self.done(second)
        elapsed_ms = (second.stamp_ns - first.stamp_ns) / 1e6
        (rounded_ms,) = struct.unpack("<f", struct.pack("<f", elapsed_ms))
        return float(rounded_ms) / 1e3

    def recycle(self, mark: Mark) -> None:
        assert not mark.given_back
        mark.given_back = True
        self._free_marks.append(mark)

    # what really happened

    def ran(self) -> list[tuple[int, int]]:
        """Begin and end of every kernel, in order, on the host's clock."""
        return list(zip(self._starts_ns, self._ends_ns, strict=True))

    def busy_ns(self, until_ns: int) -> int:
        """Time the device spent on kernels up to a time of the host's clock, now at the latest."""
        count = bisect_right(self._starts_ns, until_ns)
        if count == 0:
            return 0
        running_ns = min(until_ns, self._ends_ns[count - 1]) - self._starts_ns[count - 1]
        return self._work_before_ns[count - 1] + running_ns

    def idle_ns(self, from_ns: int, until_ns: int) -> int:
        """Time between two times of the host's clock in which no kernel ran."""
        return until_ns - from_ns - (self.busy_ns(until_ns) - self.busy_ns(from_ns))

    def backlog_ns(self) -> int:
        """Work that is launched and not yet done."""
        return self._launched_ns - self.busy_ns(self._now_ns)

    @property
    def _idle_from_ns(self) -> int:
        return self._ends_ns[-1] if self._ends_ns else self._now_ns
