"""How the recorder sees a device: a few calls, two implementations; and how two clocks become one.

`CudaDevice` is a CUDA stream with pooled events. The other implementation is the simulated
asynchronous device of the tests. A CPU has none: there host and device are one and the same, and the
recorder is given no device at all.
"""

from __future__ import annotations

import math
import time
from typing import Any, Protocol


class Device(Protocol):
    """An asynchronous device: work is queued in order, and marks in the queue tell when it is reached."""

    def host_ns(self) -> int:
        """The host's monotonic clock (`perf_counter_ns`)."""

    def record(self) -> Any | None:
        """Put a mark into the device's queue; None while a graph is captured, when none may be put."""

    def done(self, mark: Any) -> bool:
        """Whether the device has reached a mark. Never waits; False while a graph is captured."""

    def elapsed_s(self, first: Any, second: Any) -> float:
        """Seconds on the device's clock between two marks that are done; NaN if it cannot be told."""

    def recycle(self, mark: Any) -> None:
        """Give a mark back: it will not be asked about again."""


class CudaDevice:
    """The current stream of a CUDA device; marks are timing events, made once and used again.

    Loops that change streams are served as long as their streams wait for each other, as they must
    for the data they share.

    Args:
        device: a CUDA device as torch names it (`torch.device`, string or index).
    """

    host_ns = staticmethod(time.perf_counter_ns)

    def __init__(self, device: Any) -> None:
        import torch  # the simulated device's tests run without it

        self._device = torch.device(device)
        self._new_event: Any = torch.cuda.Event
        self._current_stream = torch.cuda.current_stream
        self._capturing = torch.cuda.is_current_stream_capturing
        self._free: list[Any] = []

    def record(self) -> Any | None:
        if self._capturing():
            return None
        event = self._free.pop() if self._free else self._new_event(enable_timing=True)
        event.record(self._current_stream(self._device))
        return event

    def done(self, mark: Any) -> bool:
        # asking while a graph is captured is an error and would spoil the graph
        return not self._capturing() and bool(mark.query())

    def elapsed_s(self, first: Any, second: Any) -> float:
        try:
            return float(first.elapsed_time(second)) / 1e3
        except RuntimeError:
            if first.query() and second.query():
                raise
            return math.nan  # on two streams that did not wait for each other

    def recycle(self, mark: Any) -> None:
        self._free.append(mark)


class Timeline:
    """Tells device time on the host's clock.

    The device's clock has a rate and a start of its own, so it is only carried on from one mark to
    the next, and set anew whenever the device was idle: a mark put then is reached at once. Between
    two idle moments what the rates differ by, parts per million, adds up.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        # the newest mark whose time is known, and that time
        self._anchor: Any = None
        self._anchor_ns = 0

    def at_ns(self, mark: Any, *, earliest_ns: int) -> int:
        """When the device reached a mark that is done.

        Args:
            earliest_ns: the mark was put then, or the host was told then that it was not reached.
                The answer is no less, and just this while there is nothing to carry on from.
        """
        if self._anchor is None:
            return earliest_ns
        if self._anchor is mark:
            return max(self._anchor_ns, earliest_ns)
        gone_s = self._device.elapsed_s(self._anchor, mark)
        if math.isnan(gone_s):
            return earliest_ns
        return max(self._anchor_ns + round(gone_s * 1e9), earliest_ns)

    def move_to(self, mark: Any, at_ns: int) -> None:
        """Go on from a mark that was reached at `at_ns`; the one before is given back."""
        if self._anchor is not None and self._anchor is not mark:
            self._device.recycle(self._anchor)
        self._anchor = mark
        self._anchor_ns = at_ns
