"""What Linux tells under /proc about CPU time and memory: read and parsed, nothing else.

Times are counted in ticks of 10 ms (`SC_CLK_TCK` = 100), so a difference of two readings is right to
about one tick per processor or process. Source: proc_pid_stat(5), proc_stat(5), proc_meminfo(5).
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from perfkit import limits

ROOT = "/proc"
TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class CpuTimes:
    """CPU time of some processors since boot, seconds."""

    busy_s: float
    """Neither idle nor waiting for I/O; time stolen by the machine's host counts as busy."""
    total_s: float


@dataclass(frozen=True)
class ProcessCpu:
    """One process and its CPU time since it began, seconds."""

    pid: int
    parent: int
    group: int
    start_s: float
    """When it began, on CLOCK_BOOTTIME; with the pid it tells processes apart for good."""
    own_s: float
    """User and system time of all its threads, those that ended included."""
    children_s: float
    """The same of the children that ended and that it has waited for, and of theirs."""


def problem(root: str = ROOT) -> str | None:
    """Return the reason code when there is no /proc to read, else None."""
    if os.access(f"{root}/stat", os.R_OK):
        return None
    if os.path.exists(f"{root}/stat"):
        return "no_permission"
    return "no_data" if sys.platform.startswith("linux") else "not_on_this_os"


def allowed_cpus() -> tuple[int, ...]:
    """Return the processors this process may run on; empty where the system does not tell."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    return tuple(sorted(os.sched_getaffinity(0)))


def cpu_times(cpus: tuple[int, ...], root: str = ROOT) -> CpuTimes | None:
    """Return the CPU time of the given processors; None when one is not listed, or nothing can be read."""
    wanted = {b"cpu%d" % cpu for cpu in cpus}
    busy = total = 0
    for line in _lines(f"{root}/stat"):
        if not line.startswith(b"cpu"):
            break
        name, *fields = line.split()
        if name not in wanted:
            continue
        wanted.discard(name)
        # user nice system idle iowait irq softirq steal; guest time is part of user already
        ticks = [int(field) for field in fields[:8]]
        idle = ticks[3] + ticks[4]
        total += sum(ticks)
        busy += sum(ticks) - idle
    if wanted or not cpus:
        return None
    return CpuTimes(busy / TICKS_PER_S, total / TICKS_PER_S)


def process(pid: int, root: str = ROOT) -> ProcessCpu | None:
    """Read one process; None when it is gone."""
    try:
        text = _read(f"{root}/{pid}/stat")
    except OSError:
        return None
    # the name in parentheses may hold spaces and parentheses of its own
    fields = text[text.rindex(b")") + 1 :].split()
    user, system, children_user, children_system = (int(field) for field in fields[11:15])
    return ProcessCpu(
        pid=pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        start_s=int(fields[19]) / TICKS_PER_S,
        own_s=(user + system) / TICKS_PER_S,
        children_s=(children_user + children_system) / TICKS_PER_S,
    )


def pids(root: str = ROOT) -> list[int]:
    """Return the ids of all processes that can be seen."""
    return [int(name) for name in os.listdir(root) if name.isdigit()]


def memory_available_bytes(root: str = ROOT) -> int | None:
    """Return what could be allocated without swapping; None unknown.

    The kernel's estimate for the machine, or what our control group may still take, if that is less.
    """
    for line in _lines(f"{root}/meminfo"):
        if line.startswith(b"MemAvailable:"):
            machine = int(line.split()[1]) * 1024
            of_group = limits.group_free_bytes()
            return machine if of_group is None else min(machine, of_group)
    return None


def _lines(path: str) -> list[bytes]:
    try:
        return _read(path).split(b"\n")
    except OSError:
        return []  # a container's own /proc files (lxcfs) can fail from one moment to the next


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.readall()
