"""The gauge round a block: how much CPU went to somebody else while we measured.

Foreign CPU is what the processors we may run on were busy with, less what we used ourselves: the tool,
its sampler, and the process groups of the trainings. The kernel's own work on interrupts, and time
that a virtual machine's host stole, count as foreign. All of it is counted in ticks of 10 ms.

Why: one foreign busy core turned a step of 21 ms into 700 ms with two spinning threads, and this gauge
caught every disturbed run of a series (measured on a two-core machine).
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from perfkit.telemetry import proc
from perfkit.telemetry.proc import CpuTimes, ProcessCpu

FOREIGN_SHARE = 0.10
"""Foreign load below this part of our cores is left unsaid: daemons and interrupts stay under it."""
FREE_CORES = 0.5
"""With half a core left free there was room for the foreign load beside us: nobody had to wait."""
LEAST_FOREIGN_S = 5 / proc.TICKS_PER_S
"""Foreign time is a difference of several counters, each cut to whole ticks: less may be rounding."""


@dataclass(frozen=True, kw_only=True)
class HostSnapshot:
    """The counters at one moment. Two of them say what happened between; one says nothing."""

    t_ns: int
    """`perf_counter_ns` when it was taken."""
    booted_s: float
    """The same moment on the clock of the processes' start times."""
    cpus: tuple[int, ...]
    """The processors this process may run on."""
    cpu: CpuTimes | None
    processes: dict[int, ProcessCpu] = field(default_factory=dict)
    """Ours: the tool, the processes named to the gauge, the members of the groups; by id."""
    memory_available_bytes: int | None = None
    unavailable: dict[str, str] = field(default_factory=dict)

    @property
    def cores(self) -> int:
        """How many processors we may run on."""
        return len(self.cpus)


class Gauge:
    """Takes snapshots of the host.

    The first snapshot reads every process of the machine; the later ones only those that are new or
    ours, because a process stays in the group it was born in unless it leads one.

    Args:
        root: where /proc is.
    """

    def __init__(self, root: str = proc.ROOT) -> None:
        self._pids = {os.getpid()}
        self._root = root
        self._group_of: dict[int, int] = {}

    def add(self, pid: int) -> None:
        """Count a process of ours that is in no group, from the next snapshot on."""
        self._pids.add(pid)

    def snapshot(self, groups: Collection[int] = ()) -> HostSnapshot:
        """Read the counters now; where there is no /proc they are None, with the reason.

        Args:
            groups: ids of the process groups that are ours; name the same ones before and after.
        """
        t_ns = time.perf_counter_ns()
        cpus = proc.allowed_cpus()
        reason = proc.problem(self._root)
        if reason is not None:
            missing = {"foreign_cpu_s": reason, "memory_available_bytes": reason}
            return HostSnapshot(t_ns=t_ns, booted_s=0, cpus=cpus, cpu=None, unavailable=missing)
        booted_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        cpu = proc.cpu_times(cpus, self._root)
        memory = proc.memory_available_bytes(self._root)
        return HostSnapshot(
            t_ns=t_ns,
            booted_s=booted_s,
            cpus=cpus,
            cpu=cpu,
            processes=self._ours(groups),
            memory_available_bytes=memory,
            unavailable=({"foreign_cpu_s": "no_data"} if cpu is None else {})
            | ({"memory_available_bytes": "no_data"} if memory is None else {}),
        )

    def _ours(self, groups: Collection[int]) -> dict[int, ProcessCpu]:
        # a leader may have joined its group after it was first seen, so it is always read
        always = self._pids.union(groups)
        ours: dict[int, ProcessCpu] = {}
        group_of: dict[int, int] = {}
        for pid in proc.pids(self._root):
            group = self._group_of.get(pid)
            if group is None or group in groups or pid in always:
                process = proc.process(pid, self._root)
                if process is None:
                    continue
                group = process.group
                if group in groups or pid in self._pids:
                    ours[pid] = process
            group_of[pid] = group
        self._group_of = group_of
        return ours


def own_cpu_s(before: HostSnapshot, after: HostSnapshot) -> float | None:
    """Return the CPU seconds of our own processes between two snapshots.

    A member that ended is not lost: whoever waited for it has its time among its children's. What was
    already counted in `before` is taken off there again. Lost is only the last stretch of an orphan,
    which a stranger waited for.

    Returns:
        None when it cannot be told: a process is older than `before` but was not counted there,
        because its group was not named.
    """
    survivors = {pid for pid, old in before.processes.items() if _is(old, after.processes.get(pid))}
    counted: dict[int, float] = {}
    for old in before.processes.values():
        if old.pid in survivors:
            continue
        ancestor = old
        while ancestor.pid not in survivors and ancestor.parent in before.processes:
            ancestor = before.processes[ancestor.parent]
        counted[ancestor.pid] = counted.get(ancestor.pid, 0.0) + old.own_s + old.children_s
    spent = 0.0
    for new in after.processes.values():
        if new.pid in survivors:
            old = before.processes[new.pid]
            inherited = new.children_s - old.children_s - counted.get(new.pid, 0.0)
            spent += new.own_s - old.own_s + max(0.0, inherited)
        elif new.start_s >= before.booted_s - 1 / proc.TICKS_PER_S:
            spent += new.own_s + new.children_s
        else:
            return None
    return spent


def foreign_cpu_s(before: HostSnapshot, after: HostSnapshot) -> float | None:
    """Return the CPU seconds between two snapshots that our processors spent on others; at least 0.

    Returns:
        None when it cannot be told: no /proc, other processors than before, counters that stand still
        (some sandboxes show zeros), or `own_cpu_s` is None.
    """
    if before.cpu is None or after.cpu is None or before.cpus != after.cpus:
        return None
    if after.cpu.total_s <= before.cpu.total_s:
        return None
    own = own_cpu_s(before, after)
    if own is None:
        return None
    return max(0.0, after.cpu.busy_s - before.cpu.busy_s - own)


def disturbed(foreign_s: float, own_s: float, wall_s: float, cores: int) -> bool:
    """Say whether foreign load can have slowed a block of `wall_s` seconds on `cores` processors.

    It takes both: a load worth naming, and no room left for it beside our own.
    """
    if wall_s <= 0:
        return False
    free = cores - (own_s + foreign_s) / wall_s
    named = foreign_s >= max(LEAST_FOREIGN_S, FOREIGN_SHARE * cores * wall_s)
    return named and free < FREE_CORES


def _is(old: ProcessCpu, new: ProcessCpu | None) -> bool:
    return new is not None and new.start_s == old.start_s
