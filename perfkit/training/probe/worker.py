"""The loader worker's side: what each batch cost where it was made.

One pair of hooks serves every door. `_worker_loop`, which every worker process runs, is given queues
that note when work was taken and handed over; the fetcher, which workers and a worker-less trainer
share, is timed round reading and round collation. The names are private to torch: where one is
missing nothing is installed, and the records are `not_supported`.

CPU time apart from wall time tells work from blocking: `fetch_s − fetch_cpu_s` was spent waiting for
storage, a lock or a core.

Beside its records a worker keeps the number of the last batch that it put into the result queue, in eight
bytes that the trainer maps: so the trainer knows whether the next batch *in order* is there.
"""

from __future__ import annotations

import functools
import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.utils.data import _utils

from perfkit.records import FETCHES, NAN, FetchRecord

_worker_module: Any = getattr(_utils, "worker", None)
_worker_loop: Any = getattr(_worker_module, "_worker_loop", None)


def _dataset_kind() -> Any:
    from torch.utils.data import dataloader

    return getattr(dataloader, "_DatasetKind", None)


_create_fetcher: Any = getattr(_dataset_kind(), "create_fetcher", None)

NOTHING_PUT = -1
_IN_A_SPAWNED_WORKER = (
    "__import__('functools').partial("
    "__import__('perfkit.training.probe.worker', fromlist=['_']).timed_worker_loop, folder)"
    " if __import__('importlib.util', fromlist=['_']).find_spec('perfkit') is not None"
    " else __import__('torch.utils.data._utils.worker', fromlist=['_'])._worker_loop"
)
"""What a spawned worker runs: torch's own loop where that worker cannot import perfkit."""


def install(folder: Path) -> bool:
    """Time every batch made from now on, in this process and in the loader workers it starts.

    Args:
        folder: where the record files go, one per worker process.

    Returns:
        False where this torch has none of the names that are needed; nothing is changed then.
    """
    if _worker_loop is None or _create_fetcher is None:
        return False
    _worker_module._worker_loop = _WorkerLoop(str(folder))
    _time_fetchers(_Ledger(folder, worker=0))
    return True


def uninstall() -> None:
    """Put back what `install` replaced; loaders that exist keep their probes."""
    if _worker_loop is not None and _create_fetcher is not None:
        _worker_module._worker_loop = _worker_loop
        _dataset_kind().create_fetcher = staticmethod(_create_fetcher)


def put_reader(folder: Path, worker: int, pid: int) -> Callable[[], int] | None:
    """Return what tells the number of the last batch that a worker put; None where it does not say.

    Numbers count from 0 in each iteration over the loader; `NOTHING_PUT` before the first.
    """
    try:
        with _place(folder, worker, pid).open("rb") as file:
            view = memoryview(mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)).cast("q")
    except (OSError, ValueError):
        return None
    return functools.partial(view.__getitem__, 0)


class _WorkerLoop:
    """What is run in a loader worker in place of torch's `_worker_loop`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __call__(self, *args: Any) -> None:
        timed_worker_loop(self._folder, *args)

    def __reduce__(self) -> tuple[Any, ...]:
        # a reference to a function of ours would end a worker that cannot import us
        return eval, (_IN_A_SPAWNED_WORKER, {"folder": self._folder})


def _place(folder: Path, worker: int, pid: int) -> Path:
    return folder / f"{worker}-{pid}.put"


class _Ledger:
    """Gathers the parts of one batch and appends its record; one per process."""

    def __init__(self, folder: Path, worker: int) -> None:
        self._path = folder
        self._worker = worker
        self._file: int | None = None
        self._batch = 0
        self._free_since = time.perf_counter_ns()
        self._own_cpu = self._other_threads_cpu()
        self._idle_s = NAN
        self._fetch = (NAN, NAN)
        self._collate = (NAN, NAN)
        self._end: tuple[int, int] | None = None
        self._samples = 0

    def taken(self) -> None:
        """The worker has been given something to do."""
        self._idle_s = (time.perf_counter_ns() - self._free_since) * 1e-9

    def collated(self, wall_ns: int, cpu_ns: int) -> None:
        """Collation, the last thing that fetching does, began then and ends now."""
        self._end = end_ns, end_cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
        self._collate = ((end_ns - wall_ns) * 1e-9, (end_cpu_ns - cpu_ns) * 1e-9)

    def fetched(self, wall_ns: int, cpu_ns: int, samples: int) -> None:
        """Reading and collating began then and are done."""
        end_ns, end_cpu_ns = self._end or (time.perf_counter_ns(), time.thread_time_ns())
        collate_s, collate_cpu_s = (0.0 if part != part else part for part in self._collate)
        fetch_s, fetch_cpu_s = (end_ns - wall_ns) * 1e-9, (end_cpu_ns - cpu_ns) * 1e-9
        self._fetch = (fetch_s - collate_s, fetch_cpu_s - collate_cpu_s)
        self._samples = samples

    def handed_over(self, handover_s: float) -> None:
        """The batch is in the result queue: its record is complete."""
        if self._fetch[0] != self._fetch[0]:
            return
        now = time.perf_counter_ns()
        serialise_cpu_s = NAN
        if handover_s == handover_s:
            before, self._own_cpu = self._own_cpu, self._other_threads_cpu()
            serialise_cpu_s = self._own_cpu - before
        record = FetchRecord(
            self._worker, self._batch, self._samples, now, self._idle_s, *self._fetch,
            *self._collate, handover_s, serialise_cpu_s,
        )  # fmt: skip
        self._append(FETCHES.pack(record))
        self._batch += 1
        self._idle_s, self._fetch, self._collate = NAN, (NAN, NAN), (NAN, NAN)
        self._end = None
        self._free_since = time.perf_counter_ns()

    @staticmethod
    def _other_threads_cpu() -> float:
        # in a worker the only other busy thread is the result queue's feeder, which pickles
        return (time.process_time_ns() - time.thread_time_ns()) * 1e-9

    def _append(self, data: bytes) -> None:
        try:
            if self._file is None:
                path = self._path / f"{self._worker}-{os.getpid()}.bin"
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                self._file = os.open(path, flags, 0o644)
                data = FETCHES.header + data
            os.write(self._file, data)
        except OSError:
            # a full disk must not end a worker; the trainer's own records report it
            self._append = lambda data: None  # type: ignore[method-assign]


class _TakingQueue:
    """The index queue as the worker sees it: notes when a batch's indices arrive."""

    def __init__(self, queue: Any, ledger: _Ledger) -> None:
        self._queue = queue
        self._ledger = ledger

    def get(self, *args: Any, **kwargs: Any) -> Any:
        item = self._queue.get(*args, **kwargs)
        self._ledger.taken()
        return item

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


class _GivingQueue:
    """The result queue as the worker sees it: notes when a batch has been put, and which."""

    def __init__(self, queue: Any, ledger: _Ledger, place: Path) -> None:
        self._queue = queue
        self._ledger = ledger
        self._last_put = _make_place(place)

    def put(self, item: Any, *args: Any, **kwargs: Any) -> None:
        start = time.perf_counter_ns()
        self._queue.put(item, *args, **kwargs)
        if self._last_put is not None:
            # (number, batch); anything else is an answer to the order to begin again
            number = item[0] if isinstance(item, tuple) and item else None
            self._last_put[0] = number if isinstance(number, int) else NOTHING_PUT
        self._ledger.handed_over((time.perf_counter_ns() - start) * 1e-9)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


def _make_place(path: Path) -> Any | None:
    """Make the file of the last batch put, and return it as a sequence of one integer."""
    try:
        path.write_bytes(NOTHING_PUT.to_bytes(8, "little", signed=True))
        with path.open("r+b") as file:
            return memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
    except (OSError, ValueError):
        return None


def timed_worker_loop(
    folder: str,
    dataset_kind: Any,
    dataset: Any,
    index_queue: Any,
    data_queue: Any,
    *rest: Any,
) -> None:
    """Run torch's own worker loop in this worker with queues and fetchers that take notes."""
    # arguments after these four: done_event, auto_collation, collate_fn, drop_last, seed, init_fn, id
    worker = rest[6] if len(rest) > 6 and isinstance(rest[6], int) else os.getpid()
    ledger = _Ledger(Path(folder), worker)
    _time_fetchers(ledger, hands_over=True)
    _worker_loop(
        dataset_kind,
        dataset,
        _TakingQueue(index_queue, ledger),
        _GivingQueue(data_queue, ledger, _place(Path(folder), worker, os.getpid())),
        *rest,
    )


def _time_fetchers(ledger: _Ledger, *, hands_over: bool = False) -> None:
    """Have every fetcher made in this process from now on report to `ledger`."""

    def create_fetcher(kind: Any, dataset: Any, auto: Any, collate: Any, drop_last: Any) -> Any:
        fetcher = _create_fetcher(kind, dataset, auto, _timed_collate(collate, ledger), drop_last)
        fetcher.fetch = _timed_fetch(fetcher.fetch, ledger, hands_over)
        return fetcher

    _dataset_kind().create_fetcher = staticmethod(create_fetcher)


def _timed_collate(collate: Any, ledger: _Ledger) -> Any:
    @functools.wraps(collate, updated=())
    def timed(samples: Any) -> Any:
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        batch = collate(samples)
        ledger.collated(wall, cpu)
        return batch

    return timed


def _timed_fetch(fetch: Any, ledger: _Ledger, hands_over: bool) -> Any:
    def timed(indices: Any) -> Any:
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        batch = fetch(indices)
        samples = len(indices) if hasattr(indices, "__len__") else 1
        ledger.fetched(wall, cpu, samples)
        if not hands_over:
            ledger.handed_over(NAN)
        return batch

    return timed
