"""Arms: how a block gets its batches.

    real             from the loader, as training does
    replay           real batches seen before, in rotation; the workers have nothing to do
    replay_running   the same, while the workers go on: at most one ready batch a step is taken, never
                     waited for, and thrown away, since undrained workers block and show no contention

Replay sits at the loader's boundary: what crosses to the device still does.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from torch.utils.data import DataLoader

from perfkit.training.probe.loader import UNKNOWN, depth_reader

REPLAYED_BATCHES = 4
"""Enough that no batch is in a cache from its last use, few enough to hold."""


class Source(Protocol):
    """Where a step's batch comes from."""

    def next(self) -> Any:
        """The next batch."""

    def depth(self) -> int:
        """Batches that are ready now; -1 unknown."""


class Real:
    """Batches from the loader. The iterator is made on first use, which starts the workers."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader
        self._iterator: Iterator[Any] | None = None
        self.next: Callable[[], Any] = self._first
        self.depth: Callable[[], int] = lambda: UNKNOWN

    def start(self) -> float:
        """Begin an iteration: workers start, or are told to begin again. Returns its seconds."""
        begin = time.perf_counter()
        # like a for loop over epochs: the old iterator lives until the new one is there
        self._iterator = iter(self._loader)
        self.next = self._iterator.__next__
        self.depth = depth_reader(self._iterator)
        return time.perf_counter() - begin

    def close(self) -> None:
        """Let go of the iterator; workers that do not persist end."""
        self._iterator = None
        self.next = self._first
        self.depth = lambda: UNKNOWN

    def _first(self) -> Any:
        self.start()
        return self.next()


class Replay:
    """Real batches in rotation; with `running` the workers are kept at work."""

    def __init__(self, real: Real, *, running: bool) -> None:
        self._real = real
        self._running = running
        self._batches: Iterator[Any] | None = None
        self.drain_s = 0.0
        """Host time spent taking batches from the workers, to be subtracted."""
        self.drained = 0

    def depth(self) -> int:
        return self._real.depth() if self._running else UNKNOWN

    def next(self) -> Any:
        if self._batches is None:
            self._batches = itertools.cycle([self._real.next() for _ in range(REPLAYED_BATCHES)])
        if self._running and self._real.depth() > 0:
            begin = time.perf_counter()
            self._real.next()
            self.drain_s += time.perf_counter() - begin
            self.drained += 1
        return next(self._batches)


def make(loader: DataLoader[Any]) -> dict[str, Real | Replay]:
    """Return every arm over one loader, by name."""
    real = Real(loader)
    return {
        "real": real,
        "replay": Replay(real, running=False),
        "replay_running": Replay(real, running=True),
    }
