"""The trainer's side of a DataLoader: which batches are ready when the loop asks for one.

The depth of the ready queue tells waiting from hiding: a slow producer behind a full queue shows no
wait until the queue is drained. Whether the next batch *in order* is ready tells waiting from handing over: a
queue may hold batches and not that one. All is read from names private to torch, so each is guarded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from perfkit.records import UNKNOWN
from perfkit.training.probe.worker import put_reader


def depth_reader(iterator: Any) -> Callable[[], int]:
    """Return a function that tells how many batches `iterator` has ready; -1 where it cannot know.

    Counted are batches in the workers' result queue, those that the pinning thread has passed on, and
    those that arrived out of order. Takes about 1 µs a call with one worker.
    """
    results = getattr(iterator, "_worker_result_queue", None)
    if results is None:
        return lambda: UNKNOWN
    ready: list[Callable[[], int]] = [results.qsize]
    passed_on = getattr(iterator, "_data_queue", None)
    if passed_on is not None and passed_on is not results:
        ready.append(passed_on.qsize)
    tasks = getattr(iterator, "_task_info", None)
    if isinstance(tasks, dict) and getattr(iterator, "_num_workers", 1) > 1:
        # a task is (worker,) while it is out and (worker, batch) once it came before its turn
        ready.append(lambda: sum(len(task) > 1 for task in list(tasks.values())))
    try:
        for part in ready:
            part()
    except (NotImplementedError, OSError):
        # macOS has no sem_getvalue
        return lambda: UNKNOWN
    if len(ready) == 1:
        return ready[0]
    return lambda: sum(part() for part in ready)


def workers_of(iterator: Any) -> list[int]:
    """Return the process ids of an iterator's workers; of none where it has none."""
    workers = getattr(iterator, "_workers", None) or ()
    return [worker.pid for worker in workers if worker.pid is not None]


def ready_reader(iterator: Any, folder: Path | None = None) -> Callable[[], int]:
    """Return a function that tells whether the next batch in order is ready: 1, 0, or -1 unknown.

    A loader without workers has none ready: what it gives it makes. Ready is what its worker has put into
    the result queue; pickling, rebuilding and pinning are the handing over. Takes about 0.5 µs a call.

    Args:
        folder: where the workers of `iterator` say what they have put (`perfkit.training.probe.worker`).
    """
    workers = getattr(iterator, "_workers", None)
    if workers is None:
        return (lambda: 0) if hasattr(iterator, "_dataset_fetcher") else (lambda: UNKNOWN)
    tasks = getattr(iterator, "_task_info", None)
    depth = depth_reader(iterator)
    if not isinstance(tasks, dict) or not hasattr(iterator, "_rcvd_idx"):
        return lambda: UNKNOWN
    any_will_do = len(workers) == 1 or not getattr(iterator, "_in_order", True)
    last_put: dict[int, Callable[[], int]] = {}

    def by_depth() -> int:
        ready = depth()
        if ready <= 0:
            return min(ready, 0)
        return 1 if any_will_do else UNKNOWN

    def ready() -> int:
        wanted = iterator._rcvd_idx
        task = tasks.get(wanted)
        if task is None:
            return UNKNOWN
        if len(task) > 1:
            return 1
        if any_will_do:
            return by_depth()
        worker = task[0]
        put = last_put.get(worker)
        if put is None:
            put = None if folder is None else put_reader(folder, worker, workers[worker].pid)
            if put is None:
                return by_depth()
            last_put[worker] = put
        return int(put() >= wanted)

    return ready
