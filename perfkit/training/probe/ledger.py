"""The records of the batches that one process makes: how they are timed, and when they are written.

CPU time apart from wall time tells work from blocking: `fetch_s − fetch_cpu_s` was spent waiting for
storage, a lock or a core.

A trainer without workers makes its batches itself, so what the probe costs is added to its step. It reads
the CPU's clock of some batches only and keeps its records in memory for a while.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from time import perf_counter_ns, process_time_ns, thread_time_ns
from typing import Any

import torch

from perfkit.records import FETCHES, NAN, UNKNOWN, FetchRecord
from perfkit.training.probe.forks import watch_forks

CPU_EVERY_NS = 50_000_000
"""A trainer reads the CPU's clock of one batch in this time: three readings, 14 µs each where a training step
has driven their code out of the caches, 0.08 % of it."""
WRITE_EVERY_NS = 100_000_000
"""A trainer's records are written together, which costs 40 µs: what a kill loses, and a batch at most."""

MOST_PARTS = 2048
"""No batch is looked through further: as many tensors take a worker 0.3 ms."""

_Times = tuple[int, int, int, int]
"""Begin and end in nanoseconds, then the thread's CPU time at both; that is -1 where it was not read."""


class Ledger:
    """Times the batches that one process makes, and appends a record of each to a file of its own."""

    def __init__(self, folder: Path, worker: int) -> None:
        self._folder = folder
        self._worker = worker
        self._file: int | None = None
        self._lost = False
        self._batches = 0
        self._reads_cpu = True
        self.makes = False
        """Whether a batch is being made."""
        self._collation: _Times | None = None
        watch_forks(self)

    def collate(self, collate: Any, samples: Any) -> Any:
        """Run a collation, the last thing that fetching does."""
        begin_ns = perf_counter_ns()
        if self._reads_cpu:
            cpu_ns = thread_time_ns()
            batch = collate(samples)
            self._collation = begin_ns, perf_counter_ns(), cpu_ns, thread_time_ns()
        else:
            batch = collate(samples)
            self._collation = begin_ns, perf_counter_ns(), -1, -1
        return batch

    def fetch(self, fetch: Any, indices: Any) -> Any:
        """Read and collate a batch."""
        begin_ns = perf_counter_ns()
        self._reads_cpu = reads_cpu = self._wants_cpu(begin_ns)
        cpu_ns = thread_time_ns() if reads_cpu else -1
        self._collation = None
        self.makes = True
        try:
            batch = fetch(indices)
        finally:
            self.makes = False
        collation = self._collation
        if collation is None:
            end_ns, end_cpu_ns = perf_counter_ns(), thread_time_ns() if reads_cpu else -1
        else:
            end_ns, end_cpu_ns = collation[1], collation[3]
        samples = len(indices) if hasattr(indices, "__len__") else 1
        self._fetched((begin_ns, end_ns, cpu_ns, end_cpu_ns), collation, samples)
        return batch

    def forked(self) -> None:
        """In a forked child: the file and what is not in it yet are the parent's."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
        self._file = None
        self._batches = 0

    def _wants_cpu(self, now_ns: int) -> bool:
        """Whether the CPU's clock is read of a batch that begins now."""
        raise NotImplementedError

    def _fetched(self, fetch: _Times, collation: _Times | None, samples: int) -> None:
        """A batch is made."""
        raise NotImplementedError

    def _record(
        self,
        fetch: _Times,
        collation: _Times | None,
        samples: int,
        *,
        end_ns: int,
        idle_s: float = NAN,
        handover_s: float = NAN,
        serialise_cpu_s: float = NAN,
        tensors: int = UNKNOWN,
    ) -> bytes:
        fetch_s, fetch_cpu_s = _seconds(fetch)
        collate_s = collate_cpu_s = NAN
        if collation is not None:
            collate_s, collate_cpu_s = _seconds(collation)
            fetch_s, fetch_cpu_s = fetch_s - collate_s, fetch_cpu_s - collate_cpu_s
        number, self._batches = self._batches, self._batches + 1
        return FETCHES.pack(
            FetchRecord(
                self._worker, number, samples, end_ns, idle_s, fetch_s, fetch_cpu_s,
                collate_s, collate_cpu_s, handover_s, serialise_cpu_s, tensors,
            )
        )  # fmt: skip

    def _append(self, data: bytes) -> None:
        if self._lost:
            return
        try:
            if self._file is None:
                path = self._folder / f"{self._worker}-{os.getpid()}.bin"
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                self._file = os.open(path, flags, 0o644)
                data = FETCHES.header + data
            while data:
                data = data[os.write(self._file, data) :]  # a disk that fills up takes only a part
        except OSError:
            # a full disk must not end a worker; the trainer's own records report it
            self._lost = True


def _seconds(times: _Times) -> tuple[float, float]:
    begin_ns, end_ns, cpu_ns, end_cpu_ns = times
    known = (
        cpu_ns >= 0 and end_cpu_ns >= 0
    )  # a batch fetched inside another one may have it otherwise
    return (end_ns - begin_ns) * 1e-9, (end_cpu_ns - cpu_ns) * 1e-9 if known else NAN


def tensors_of(batch: Any) -> int:
    """Return how many tensors a batch has, of its first `MOST_PARTS` parts."""
    found, waiting = 0, deque([batch])
    for _ in range(MOST_PARTS):
        if not waiting:
            break
        one = waiting.popleft()
        if isinstance(one, torch.Tensor):
            found += 1
        elif one is None or isinstance(one, (int, float, str, bytes)):
            continue
        elif isinstance(one, Mapping):
            waiting.extend(islice(one.values(), MOST_PARTS))
        elif isinstance(one, (list, tuple)):
            waiting.extend(one[:MOST_PARTS])
        elif hasattr(one, "__dict__"):
            # a class of the script's own that holds them
            waiting.extend(vars(one).values())
    return found


class WorkerLedger(Ledger):
    """A worker's: a batch is complete once it lies in the result queue, and written at once.

    The trainer ends its workers as it likes, and waits for a batch far longer than writing takes.
    """

    def __init__(self, folder: Path, worker: int) -> None:
        super().__init__(folder, worker)
        self.sampling_cpu_s = 0.0
        """CPU time of the thread that samples stacks."""
        self._free_since = perf_counter_ns()
        self._own_cpu = self._other_threads_cpu()
        self._idle_s = NAN
        self._made: tuple[_Times, _Times | None, int] | None = None

    def taken(self) -> None:
        """The worker has been given something to do."""
        self._idle_s = (perf_counter_ns() - self._free_since) * 1e-9

    def handed_over(self, handover_s: float, tensors: int = UNKNOWN) -> None:
        """What was made is in the result queue.

        Args:
            tensors: how many it has.
        """
        made, self._made = self._made, None
        if made is None:
            return
        now_ns = perf_counter_ns()
        before, self._own_cpu = self._own_cpu, self._other_threads_cpu()
        record = self._record(
            *made,
            end_ns=now_ns,
            idle_s=self._idle_s,
            handover_s=handover_s,
            serialise_cpu_s=self._own_cpu - before,
            tensors=tensors,
        )
        self._append(record)
        self._idle_s = NAN
        self._free_since = perf_counter_ns()

    def _wants_cpu(self, now_ns: int) -> bool:
        return True

    def _fetched(self, fetch: _Times, collation: _Times | None, samples: int) -> None:
        self._made = fetch, collation, samples

    def _other_threads_cpu(self) -> float:
        # beside ours the only other busy thread in a worker is the result queue's feeder, which pickles
        return (process_time_ns() - thread_time_ns()) * 1e-9 - self.sampling_cpu_s


class TrainerLedger(Ledger):
    """Of a process that makes its batches itself, between the steps that it trains."""

    def __init__(self, folder: Path, worker: int) -> None:
        super().__init__(folder, worker)
        self._cpu_at_ns = 0
        self._write_at_ns = 0
        self._made: list[tuple[_Times, _Times | None, int]] = []

    def write(self) -> None:
        """Append what is not in the file yet."""
        made, self._made = self._made, []
        if made:
            self._append(b"".join([self._record(*one, end_ns=one[0][1]) for one in made]))

    def forked(self) -> None:
        super().forked()
        self._made = []

    def _wants_cpu(self, now_ns: int) -> bool:
        if now_ns < self._cpu_at_ns:
            return False
        self._cpu_at_ns = now_ns + CPU_EVERY_NS
        return True

    def _fetched(self, fetch: _Times, collation: _Times | None, samples: int) -> None:
        self._made.append((fetch, collation, samples))
        end_ns = fetch[1]
        if end_ns >= self._write_at_ns:
            self._write_at_ns = end_ns + WRITE_EVERY_NS
            self.write()
