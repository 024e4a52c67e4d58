"""The loader worker's side: what each batch cost where it was made.

One pair of hooks serves every door. `_worker_loop`, which every worker process runs, is given queues
that note when work was taken and handed over; the fetcher, which workers and a worker-less trainer
share, is timed round reading and round collation. The names are private to torch: where one is
missing nothing is installed, and the records are `not_supported`.

Beside its records a worker keeps the number of the last batch that it put into the result queue, in eight
bytes that the trainer maps: so the trainer knows whether the next batch *in order* is there.
"""

from __future__ import annotations

import functools
import importlib
import mmap
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.utils.data import _utils

from perfkit.training.probe.ledger import Ledger, TrainerLedger, WorkerLedger, tensors_of
from perfkit.training.probe.making import MakingStacks

_worker_module: Any = getattr(_utils, "worker", None)
_worker_loop: Any = getattr(_worker_module, "_worker_loop", None)


def _dataset_kind() -> Any:
    from torch.utils.data import dataloader

    return getattr(dataloader, "_DatasetKind", None)


_create_fetcher: Any = getattr(_dataset_kind(), "create_fetcher", None)

_covered: set[str] = set()  # modules of iterators whose workers run another loop than torch's
_own: TrainerLedger | None = None  # of this process, where it makes batches itself

NOTHING_PUT = -1
TORCHS = "torch.utils.data._utils.worker"
"""The module of torch's own worker loop."""
_IN_A_SPAWNED_WORKER = (
    "__import__('functools').partial("
    "__import__('perfkit.training.probe.worker', fromlist=['_']).timed_worker_loop, folder, home)"
    " if __import__('importlib.util', fromlist=['_']).find_spec('perfkit') is not None"
    " else __import__(home, fromlist=['_'])._worker_loop"
)
"""What a spawned worker runs: the loop as it was where that worker cannot import perfkit."""


def install(folder: Path) -> bool:
    """Time every batch made from now on, in this process and in the loader workers it starts.

    Args:
        folder: where the record files go, one per worker process.

    Returns:
        False where this torch has none of the names that are needed; nothing is changed then.
    """
    if _worker_loop is None or _create_fetcher is None:
        return False
    global _own
    write()
    _worker_module._worker_loop = _WorkerLoop(str(folder), TORCHS)
    _own = TrainerLedger(folder, worker=0)
    _time_fetchers(_own)
    for name in _covered:
        _cover(name)
    return True


def cover(module: str) -> None:
    """Time the workers of another library's iterator too, whose module has a worker loop of its own.

    torchdata's StatefulDataLoader has, which takes what torch's takes.
    """
    if module not in _covered and isinstance(_worker_module._worker_loop, _WorkerLoop):
        _covered.add(module)
        _cover(module)


def _cover(name: str) -> None:
    module: Any = sys.modules.get(name)
    loop = getattr(module, "_worker_loop", None)
    home = loop.home if isinstance(loop, _WorkerLoop) else getattr(loop, "__module__", name)
    if home != name:
        module._worker_loop = _WorkerLoop(_worker_module._worker_loop.folder, home)


def write() -> None:
    """Write what is known of the batches that this process made for itself."""
    if _own is not None:
        _own.write()


def uninstall() -> None:
    """Put back what `install` replaced; loaders that exist keep their probes."""
    write()
    if _worker_loop is not None and _create_fetcher is not None:
        _worker_module._worker_loop = _worker_loop
        for name in _covered:
            module: Any = sys.modules[name]
            if isinstance(getattr(module, "_worker_loop", None), _WorkerLoop):
                module._worker_loop = importlib.import_module(module._worker_loop.home)._worker_loop
        _dataset_kind().create_fetcher = staticmethod(_create_fetcher)


def put_reader(folder: Path, worker: int, pid: int) -> Callable[[], int] | None:
    """Return what tells the number of the last batch that a worker put; None where it does not say.

    Numbers count from 0 in each iteration over the loader; `NOTHING_PUT` before the first.
    """
    try:
        with (folder / f"{worker}-{pid}.put").open("rb") as file:
            view = memoryview(mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)).cast("q")
    except (OSError, ValueError):
        return None
    return functools.partial(view.__getitem__, 0)


class _WorkerLoop:
    """What is run in a loader worker in place of a `_worker_loop`.

    Args:
        home: the module that has that one.
    """

    def __init__(self, folder: str, home: str) -> None:
        self.folder, self.home = folder, home

    def __call__(self, *args: Any) -> None:
        timed_worker_loop(self.folder, self.home, *args)

    def __reduce__(self) -> tuple[Any, ...]:
        # a reference to a function of ours would end a worker that cannot import us
        return eval, (_IN_A_SPAWNED_WORKER, {"folder": self.folder, "home": self.home})


class _TakingQueue:
    """The index queue as the worker sees it: notes when a batch's indices arrive."""

    def __init__(self, queue: Any, ledger: WorkerLedger) -> None:
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

    def __init__(self, queue: Any, ledger: WorkerLedger, place: Path) -> None:
        self._queue = queue
        self._ledger = ledger
        self._last_put = _make_place(place)

    def put(self, item: Any, *args: Any, **kwargs: Any) -> None:
        # (number, batch); anything else is an answer to the order to begin again
        number, batch = item if isinstance(item, tuple) and len(item) == 2 else (None, None)
        tensors = tensors_of(batch)
        start = time.perf_counter_ns()
        self._queue.put(item, *args, **kwargs)
        if self._last_put is not None:
            self._last_put[0] = number if isinstance(number, int) else NOTHING_PUT
        self._ledger.handed_over((time.perf_counter_ns() - start) * 1e-9, tensors)

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
    home: str,
    dataset_kind: Any,
    dataset: Any,
    index_queue: Any,
    data_queue: Any,
    *rest: Any,
) -> None:
    """Run a worker loop, torch's own or that of `home`, with queues and fetchers that take notes."""
    loop = _worker_loop if home == TORCHS else importlib.import_module(home)._worker_loop
    # arguments after these four: done_event, auto_collation, collate_fn, drop_last, seed, init_fn, id
    worker = rest[6] if len(rest) > 6 and isinstance(rest[6], int) else os.getpid()
    ledger = WorkerLedger(Path(folder), worker)
    _time_fetchers(ledger)
    place = Path(folder) / f"{worker}-{os.getpid()}"
    stacks = MakingStacks(place.with_suffix(".jsonl"), ledger)
    stacks.start()
    try:
        loop(
            dataset_kind,
            dataset,
            _TakingQueue(index_queue, ledger),
            _GivingQueue(data_queue, ledger, place.with_suffix(".put")),
            *rest,
        )
    finally:
        stacks.stop()


def _time_fetchers(ledger: Ledger) -> None:
    """Have every fetcher made in this process from now on report to `ledger`."""

    def create_fetcher(kind: Any, dataset: Any, auto: Any, collate: Any, drop_last: Any) -> Any:
        timed = functools.partial(ledger.collate, collate)
        functools.update_wrapper(timed, collate, updated=())
        fetcher = _create_fetcher(kind, dataset, auto, timed, drop_last)
        fetcher.fetch = functools.partial(ledger.fetch, fetcher.fetch)
        return fetcher

    _dataset_kind().create_fetcher = staticmethod(create_fetcher)
