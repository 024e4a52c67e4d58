"""What a simulated training asks of its loader, its host and its device, and the loader itself.

A job is plain numbers, so that a cause can be taken out of it (`dataclasses.replace`) and played again. Its
loader is torch's: workers that make batches in turn, each as many ahead as it may, and given the next one
when one is taken. Times are nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a training asks of its loader, its host and its device."""

    on_device: bool = True
    """False: the host is all there is, and computes what would be kernels."""
    steps: int
    """Of an epoch."""
    epochs: int
    """Of a run."""
    workers: int
    prefetch: int
    persistent: bool
    make_ns: tuple[int, ...]
    """A batch's production, in rotation."""
    make_later_ns: tuple[int, ...] | None = None
    """That of all batches but the first of each worker in an epoch, where it is another."""
    first_batch_ns: int = 0
    """What the first batch of an epoch takes longer."""
    start_ns: int = 0
    """Starting the workers."""
    iter_ns: int = 0
    """Beginning to iterate over a loader whose workers run."""
    take_ns: int
    """Host time of taking a batch over from a worker."""
    copy_ns: int
    copy_python_ns: int
    """Host time of asking for it."""
    pinned: bool
    """Else the host waits for the copy."""
    kernels_ns: tuple[tuple[int, ...], ...]
    """Of forward, backward and the optimizer's step."""
    python_ns: int
    """Host time of each phase beside its launches."""
    launch_ns: int
    rest_ns: int
    """Host time after the last phase."""
    item: bool
    """Whether a step ends with a `.item()`."""
    compile_ns: int = 0
    """What the first step of a run takes longer."""
    evaluation_ns: tuple[int, ...] = ()
    """Its kernels."""
    periodic_ns: int = 0
    """Host time of a task between epochs."""
    every: int = 1
    """Epochs from one run of it to the next."""
    queue_limit: int = 1024

    @property
    def capacity(self) -> int:
        """Batches that may be ready at once."""
        return self.workers * self.prefetch


class Made(NamedTuple):
    """A batch that a worker made."""

    worker: int
    start_ns: int
    end_ns: int


class Loader:
    """The batches of one pass, in order, by workers that take turns."""

    def __init__(self, job: Job, begun_ns: int, made: list[Made]) -> None:
        self._job = job
        self._made = made
        self._sent_ns = [begun_ns] * job.capacity
        self._free_ns = [begun_ns] * job.workers
        self._ready_ns: list[int] = []
        self.taken = 0
        self._produce()

    def depth(self, now_ns: int) -> int:
        """Batches that are ready and not taken."""
        return sum(ready_ns <= now_ns for ready_ns in self._ready_ns[self.taken :])

    def ready_ns(self) -> int:
        """When the next batch in order is ready."""
        return self._ready_ns[self.taken]

    def take(self, now_ns: int) -> None:
        """The next batch is taken, and its worker given another."""
        self.taken += 1
        self._sent_ns.append(now_ns)
        self._produce()

    def _produce(self) -> None:
        job = self._job
        for number in range(len(self._ready_ns), len(self._sent_ns)):
            worker = number % job.workers
            start_ns = max(self._free_ns[worker], self._sent_ns[number])
            end_ns = start_ns + production_ns(job, number)
            self._free_ns[worker] = end_ns
            self._ready_ns.append(end_ns)
            self._made.append(Made(worker, start_ns, end_ns))


def production_ns(job: Job, number: int) -> int:
    """What making a batch of a pass takes."""
    times_ns = job.make_ns
    if job.make_later_ns is not None and number >= job.workers:
        times_ns = job.make_later_ns
    return times_ns[number % len(times_ns)] + (job.first_batch_ns if number == 0 else 0)
