"""Cores and memory that this process may use: the machine's, or less where its control group has a limit.

A container sees all processors and all memory of its host, and may be allowed a part of both. Limits hold
down the hierarchy, so the smallest one from the process's own group up to the root counts. Sources: Linux's
cgroup-v2.rst (`cpu.max`, `memory.max`), sched-bwc.rst and cgroup-v1/memory.rst (`cpu.cfs_quota_us`,
`memory.limit_in_bytes`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
_NO_LIMIT_BYTES = 2**60
"""The first version's files say that there is no limit by one near 2⁶³."""
Numbers = Callable[[Path], float | None]


def usable_cores(root: Path = CGROUP, membership: Path = MEMBERSHIP) -> int:
    """Return how many cores this process may keep busy, at least 1.

    Those of its affinity, or whole cores of the time that its group may use: with half a core more, another
    thread would be held up half of the time, and the others would wait for it.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quota = quota_cores(root, membership)
    return cores if quota is None else max(1, min(cores, int(quota)))


def quota_cores(root: Path = CGROUP, membership: Path = MEMBERSHIP) -> float | None:
    """Return the cores that the group's CPU time comes to; None without a limit."""
    return _least("cpu", root, membership, _cpu_of_second, _cpu_of_first)


def usable_memory_bytes(root: Path = CGROUP, membership: Path = MEMBERSHIP) -> int | None:
    """Return the memory that this process may use: the machine's or its group's; None where unknown."""
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    limit = _least("memory", root, membership, *_bytes_of(_limit_bytes))
    return machine if limit is None else min(machine, int(limit))


def group_free_bytes(root: Path = CGROUP, membership: Path = MEMBERSHIP) -> int | None:
    """Return what the group may still take before its memory limit; None without a limit.

    Pages of files that were not used lately are given up first: they count as free.
    """
    free = _least("memory", root, membership, *_bytes_of(_free_bytes))
    return None if free is None else int(free)


def _least(
    controller: str, root: Path, membership: Path, second: Numbers, first: Numbers
) -> float | None:
    """Return the smallest limit of the process's groups in either version of the hierarchy."""
    found = [
        limit
        for folder, version in _folders(controller, root, membership)
        if (limit := (second if version == 2 else first)(folder)) is not None
    ]
    return min(found, default=None)


def _folders(controller: str, root: Path, membership: Path) -> Iterator[tuple[Path, int]]:
    """Yield the folder of every group from the process's own up, and which version it is of."""
    try:
        lines = membership.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        version = 1 if controllers else 2
        if version == 1 and controller not in controllers.split(","):
            continue
        mounts = (
            [root / controller, root / controllers] if controllers else [root, root / "unified"]
        )
        mount = next((one for one in mounts if one.is_dir()), None)
        if mount is None:
            continue
        # in a container the path may be the host's, of which only the root is to be seen
        own = mount / path.strip("/")
        yield from ((one, version) for one in (own, *own.parents) if one.is_relative_to(mount))


def _cpu_of_second(folder: Path) -> float | None:
    quota, _, period = (_text(folder / "cpu.max") or "").partition(" ")
    return _ratio(quota, period)


def _cpu_of_first(folder: Path) -> float | None:
    # no limit is -1
    quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    return _ratio(quota or "", period or "")


def _ratio(quota: str, period: str) -> float | None:
    if not (quota.isdecimal() and period.isdecimal()) or int(period) == 0:
        return None
    return int(quota) / int(period)


def _bytes_of(measure: Callable[[Path, str, str, str], float | None]) -> tuple[Numbers, Numbers]:
    """Bind a measure to the names that its files have in the second version and in the first."""
    second = ("memory.max", "memory.current", "inactive_file")
    first = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    return lambda folder: measure(folder, *second), lambda folder: measure(folder, *first)


def _limit_bytes(folder: Path, limit: str, usage: str = "", idle: str = "") -> float | None:
    text = _text(folder / limit) or ""
    return int(text) if text.isdecimal() and int(text) < _NO_LIMIT_BYTES else None


def _free_bytes(folder: Path, limit: str, usage: str, idle: str) -> float | None:
    most, used = _limit_bytes(folder, limit), _text(folder / usage) or ""
    if most is None or not used.isdecimal():
        return None
    stat = (line.split() for line in (_text(folder / "memory.stat") or "").splitlines())
    cached = sum(int(found[1]) for found in stat if len(found) == 2 and found[0] == idle)
    return max(0.0, most - max(0, int(used) - cached))


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
