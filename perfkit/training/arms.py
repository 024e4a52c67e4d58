"""Arms: how a block gets its batches.

    real             from the loader, as training does
    replay           real batches seen before, in rotation; the workers have nothing to do
    replay_running   the same, while the workers go on: at most one batch a step is taken, if the next in
                     order is there, and thrown away, since undrained workers block and show no contention

Replay sits at the loader's boundary: what crosses to the device still does.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader

from perfkit.records import UNKNOWN
from perfkit.training.batches import mapped
from perfkit.training.probe.loader import depth_reader, ready_reader

REPLAYED_BATCHES = 4
"""Enough that no batch is in a cache from its last use, few enough to hold."""
REST_S = 5.0
"""How long workers may take to fill their queue before an idle block; slower ones are told as they are."""


class BatchesChanged(Exception):
    """The loop changes its batches in place: they cannot be given to it again."""


class Source(Protocol):
    """Where a step's batch comes from."""

    def next(self) -> Any:
        """The next batch."""

    def depth(self) -> int:
        """Batches that are ready now; -1 unknown."""

    def ready(self) -> int:
        """Whether the next batch in order is ready: 1, 0, or -1 unknown."""


class Real:
    """Batches from the loader. The iterator is made on first use, which starts the workers.

    Args:
        folder: where the workers say which batches they have put; None where they do not.
    """

    def __init__(self, loader: DataLoader[Any], folder: Path | None = None) -> None:
        self._loader = loader
        self._folder = folder
        self._iterator: Iterator[Any] | None = None
        self.next: Callable[[], Any] = self._first
        self.depth: Callable[[], int] = lambda: UNKNOWN
        self.ready: Callable[[], int] = lambda: UNKNOWN

    def start(self) -> float:
        """Begin an iteration: workers start, or are told to begin again. Returns its seconds."""
        begin = time.perf_counter()
        # like a for loop over epochs: the old iterator lives until the new one is there
        self._iterator = iter(self._loader)
        self.next = self._iterator.__next__
        seconds = time.perf_counter() - begin
        self.depth = depth_reader(self._iterator)
        self.ready = ready_reader(self._iterator, self._folder)
        return seconds

    def close(self) -> None:
        """Let go of the iterator; workers that do not persist end."""
        self._iterator = None
        self.next = self._first
        self.depth = self.ready = lambda: UNKNOWN

    def worker_pids(self) -> list[int]:
        """Process ids of the workers that live."""
        workers = getattr(self._iterator, "_workers", None) or []
        return [worker.pid for worker in workers if worker.pid is not None and worker.is_alive()]

    def _first(self) -> Any:
        self.start()
        return self.next()


class Replay:
    """Real batches in rotation; with `running` the workers are kept at work. Prime it before its blocks."""

    def __init__(self, real: Real, *, running: bool) -> None:
        self._real = real
        self._running = running
        self._batches: list[Any] = []
        self._versions: list[list[int]] = []
        self._turn: Iterator[int] = iter(())
        self.drain_s = 0.0
        """Host time spent taking batches from the workers, to be subtracted."""
        self.drained = 0

    def prime(self) -> None:
        """Take the batches that will be replayed, once."""
        if self._batches:
            return
        self._batches = [self._real.next() for _ in range(REPLAYED_BATCHES)]
        self._versions = [_versions(batch) for batch in self._batches]
        self._turn = itertools.cycle(range(REPLAYED_BATCHES))

    def forget(self) -> None:
        """Let go of the batches and of their memory."""
        self._batches, self._versions = [], []

    def rest(self, capacity: int) -> None:
        """Wait until the workers have filled their queue and idle; with `running` they never do."""
        if self._running or capacity <= 0:
            return
        until = time.perf_counter() + REST_S
        while 0 <= self._real.depth() < capacity and time.perf_counter() < until:
            time.sleep(0.002)

    def depth(self) -> int:
        return self._real.depth() if self._running else UNKNOWN

    def ready(self) -> int:
        return 1

    def next(self) -> Any:
        """The next batch, in containers of its own.

        Raises:
            BatchesChanged: the loop has changed it since it was primed.
        """
        # where nobody knows which batches are there, one that comes late would be waited for
        if self._running and self._real.ready() == 1:
            begin = time.perf_counter()
            self._real.next()
            self.drain_s += time.perf_counter() - begin
            self.drained += 1
        number = next(self._turn)
        batch = self._batches[number]
        if _versions(batch) != self._versions[number]:
            raise BatchesChanged("the training changes its batches in place")
        return _copied(batch)


def _copied(batch: Any) -> Any:
    """The same tensors in new containers: a loop may pop and append as it likes."""
    return mapped(batch, lambda part: part)


def _versions(batch: Any) -> list[int]:
    """How often each tensor has been written to (`Tensor._version`)."""
    found: list[int] = []

    def note(part: Any) -> Any:
        held = [part] if isinstance(part, torch.Tensor) else _held(part)
        found.extend(-1 if t.is_inference() else t._version for t in held)
        return part

    mapped(batch, note)
    return found


def _held(part: Any) -> list[torch.Tensor]:
    """The tensors of an object that moves itself, such as a packed sequence."""
    values = part if isinstance(part, tuple) else getattr(part, "__dict__", {}).values()
    return [value for value in values if isinstance(value, torch.Tensor)]


def make(loader: DataLoader[Any], folder: Path | None = None) -> dict[str, Real | Replay]:
    """Return every arm over one loader, by name."""
    real = Real(loader, folder)
    return {
        "real": real,
        "replay": Replay(real, running=False),
        "replay_running": Replay(real, running=True),
    }
