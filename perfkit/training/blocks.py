"""Blocks of one arm beside others in the same process: equal in time, each after a run-in of its own.

The run-in lets the ready queue come to what the arm leaves in it: `queue_capacity + 2` steps, untimed. A
block is not extended: its neighbours in the palindrome have the same length, and what is unsteady about it
is told.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from perfkit.stats import LEAST_STEPS
from perfkit.training.arms import Real, Replay
from perfkit.training.loop import Block, Loop

PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class ArmBlock:
    """One timed block of an arm, and what else was spent in it."""

    block: Block
    drained: int
    """Batches taken from the workers and thrown away."""
    drain_s: float
    """Host time of that."""
    workers_cpu_s: float | None
    """CPU seconds of the loader workers; None where it cannot be read."""


class _Spent(NamedTuple):
    """What had been spent at one moment."""

    workers: tuple[int, ...]
    cpu_s: float | None
    drained: int
    drain_s: float


class ArmBlocks:
    """Times blocks of several arms of one loop.

    Args:
        real: the arm whose workers are watched.
        capacity: batches that the loader's workers may have ready at once.
    """

    def __init__(self, loop: Loop, real: Real, capacity: int) -> None:
        self._loop = loop
        self._real = real
        self._capacity = capacity
        self._step_s: dict[int, float] = {}

    def time(self, number: int, source: Real | Replay, seconds: float) -> ArmBlock:
        """Time a block of about so many seconds.

        Raises:
            BadLoss: the loss is not finite at the end, or has diverged.
            BatchesChanged: the loop changes its batches, which cannot be replayed.
        """
        loop = self._loop
        if isinstance(source, Replay):
            source.prime()
            source.rest(self._capacity)
        run_in = self._capacity + 2
        start_ns, end_ns = loop.run(source, run_in)
        step_s = self._step_s.get(id(source), (end_ns - start_ns) * 1e-9 / run_in)
        wanted = max(LEAST_STEPS, math.ceil(seconds / max(step_s, 1e-6)))
        steps = loop.training.config.whole_updates(wanted)
        before = self._spent(source)
        block = loop.block(number, source, steps, extensions=0)
        after = self._spent(source)
        self._step_s[id(source)] = (block.end_ns - block.start_ns) * 1e-9 / steps
        known = before.workers == after.workers
        return ArmBlock(
            block=block,
            drained=after.drained - before.drained,
            drain_s=after.drain_s - before.drain_s,
            workers_cpu_s=after.cpu_s - before.cpu_s
            if known and before.cpu_s is not None and after.cpu_s is not None
            else None,
        )

    def _spent(self, source: Real | Replay) -> _Spent:
        workers = self._real.worker_pids()
        drained, drain_s = (0, 0.0)
        if isinstance(source, Replay):
            drained, drain_s = source.drained, source.drain_s
        return _Spent(tuple(workers), cpu_s_of(workers), drained, drain_s)


def loader_alone(real: Real, seconds: float, capacity: int) -> tuple[int, float]:
    """Take batches as fast as they come, with nobody training.

    What was ready before is taken first and does not count: it was made while nobody asked for it.

    Returns:
        Batches, and the seconds that they took; at least one, however long it takes.
    """
    for _ in range(capacity):
        real.next()
    batches = 0
    begin = time.perf_counter()
    while True:
        real.next()
        batches += 1
        elapsed_s = time.perf_counter() - begin
        if elapsed_s >= seconds:
            return batches, elapsed_s


def cpu_s_of(pids: list[int], root: Path = PROC) -> float | None:
    """CPU seconds that processes and all their threads have had; None where one of them cannot be read.

    The first field of each thread's `schedstat`, nanoseconds: the ticks of `/proc/PID/stat` are 10 ms.
    """
    total_ns = 0
    try:
        for pid in pids:
            for thread in (root / str(pid) / "task").iterdir():
                total_ns += int((thread / "schedstat").read_bytes().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return total_ns * 1e-9
