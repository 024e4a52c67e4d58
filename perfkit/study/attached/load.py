"""Somebody else's load while a script was watched: from snapshots of the host to windows of steps."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass, field

from perfkit.telemetry.foreign import (
    Gauge,
    HostSnapshot,
    disturbed,
    foreign_cpu_s,
    own_cpu_s,
)

EVERY_NS = 2_000_000_000
"""A snapshot reads the counters of every process that is ours: so often it costs nothing that shows."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the processors were busy with in a stretch of `perf_counter_ns`."""

    start_ns: int
    end_ns: int
    foreign_s: float
    """CPU seconds of others."""
    own_s: float
    """CPU seconds of the script, and of perfkit beside it."""
    cores: int


@dataclass(frozen=True)
class Loads:
    """The stretches that were looked at, in order."""

    stretches: tuple[Load, ...] = ()

    def foreign_s(self, start_ns: int, end_ns: int) -> float | None:
        """Return the CPU seconds of others in a stretch; None where half of it was not looked at."""
        found = self._within(start_ns, end_ns)
        seen_s = sum(part * (load.end_ns - load.start_ns) * 1e-9 for load, part in found)
        if 2 * seen_s < (end_ns - start_ns) * 1e-9:
            return None
        return sum(part * load.foreign_s for load, part in found)

    def disturbed(self, start_ns: int, end_ns: int) -> bool:
        """Whether others can have slowed down what ran in a stretch."""
        found, foreign_s = self._within(start_ns, end_ns), self.foreign_s(start_ns, end_ns)
        if foreign_s is None:
            return False
        own_s = sum(part * load.own_s for load, part in found)
        seen_s = sum(part * (load.end_ns - load.start_ns) * 1e-9 for load, part in found)
        return disturbed(foreign_s, own_s, seen_s, found[0][0].cores)

    def _within(self, start_ns: int, end_ns: int) -> list[tuple[Load, float]]:
        """The stretches that meet one, each with the part of it that does."""
        found = []
        for load in self.stretches:
            common = min(end_ns, load.end_ns) - max(start_ns, load.start_ns)
            if common > 0:
                found.append((load, common / (load.end_ns - load.start_ns)))
        return found


@dataclass
class LoadWatch:
    """Takes snapshots of the host while a script runs."""

    gauge: Gauge = field(default_factory=Gauge)
    _last: HostSnapshot | None = None
    _found: list[Load] = field(default_factory=list)

    @property
    def loads(self) -> Loads:
        """What was seen so far."""
        return Loads(tuple(self._found))

    def look(self, now_ns: int, pids: Collection[int]) -> None:
        """Take a snapshot if it is time for one.

        Args:
            pids: of the training processes; a launcher may have given them groups of their own.
        """
        last = self._last
        if last is not None and now_ns - last.t_ns < EVERY_NS:
            return
        snapshot = self.gauge.snapshot(_groups(pids))
        self._last = snapshot
        if last is None:
            return
        foreign_s, own_s = foreign_cpu_s(last, snapshot), own_cpu_s(last, snapshot)
        if foreign_s is not None and own_s is not None:
            self._found.append(
                Load(
                    start_ns=last.t_ns,
                    end_ns=snapshot.t_ns,
                    foreign_s=foreign_s,
                    own_s=own_s,
                    cores=snapshot.cores,
                )
            )


def _groups(pids: Collection[int]) -> set[int]:
    groups = set()
    if hasattr(os, "getpgid"):
        for pid in (0, *pids):
            with contextlib.suppress(OSError):
                groups.add(os.getpgid(pid))
    return groups
