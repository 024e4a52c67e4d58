"""Memory is several numbers: the device allocator's peaks, the process's peak, its workers' share.

A value that cannot be had is None, with its reason in `unavailable`: `not_supported` (this device
or allocator does not count it), `not_on_this_os`, `no_permission`, `no_data`.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from perfkit.training.failures import CannotRun

PROC = Path("/proc")
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_FROM_ALLOCATOR = {
    "peak_allocated_bytes": "allocated_bytes.all.peak",
    "peak_reserved_bytes": "reserved_bytes.all.peak",
    "num_alloc_retries": "num_alloc_retries",
    "num_segments": "segment.all.allocated",
}
"""Our names → keys of `torch.cuda.memory_stats`. Segments ever made, so that a new one shows."""
_NATIVE_ONLY = ("num_alloc_retries", "num_segments")
"""What only torch's own caching allocator counts, not `backend:cudaMallocAsync`."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What was read; a None in `values` has its reason under the same name in `unavailable`."""

    values: dict[str, int | None]
    unavailable: dict[str, str]


def device_memory(device: torch.device | str) -> Memory:
    """Read the device allocator's counters without synchronising.

    `peak_allocated_bytes` and `peak_reserved_bytes` are since the last `reset_peaks`;
    `num_alloc_retries` (times the allocator had to give its cache back to find room) and
    `num_segments` (blocks ever asked of the driver) since the process began; `total_bytes` is the
    device's own memory.
    """
    device = torch.device(device)
    names = (*_FROM_ALLOCATOR, "total_bytes")
    if device.type != "cuda":
        return Memory(
            values=dict.fromkeys(names), unavailable=dict.fromkeys(names, "not_supported")
        )
    counters = torch.cuda.memory_stats(device)  # empty until the device is first used
    native = torch.cuda.get_allocator_backend() == "native"
    values: dict[str, int | None] = {}
    unavailable: dict[str, str] = {}
    for name, key in _FROM_ALLOCATOR.items():
        counted = native or name not in _NATIVE_ONLY
        values[name] = int(counters[key]) if counted and key in counters else None
        if values[name] is None:
            unavailable[name] = "no_data" if counted else "not_supported"
    values["total_bytes"] = torch.cuda.get_device_properties(device).total_memory
    return Memory(values=values, unavailable=unavailable)


def reset_peaks(device: torch.device | str) -> None:
    """Begin the device's peaks anew. For trainings of our own only: a process has one set."""
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def keep_freed_memory() -> bool:
    """Have glibc keep what is freed instead of giving it back to the kernel, from now on.

    Blocks of any size come from the heap (M_MMAP_MAX 0), whose end is not given back below 2 GiB of free
    space (M_TRIM_THRESHOLD); mallopt(3). A process that is told otherwise by MALLOC_ variables is let be.

    Returns:
        Whether that is so now; False where there is no glibc.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def limit_memory(device: torch.device, limit_bytes: int) -> None:
    """Let this process use no more than so many bytes: of the device's memory on CUDA, else of the host's.

    The host's limit is on private writable memory (RLIMIT_DATA, setrlimit(2)); workers inherit it, each
    for itself. Past a limit an allocation fails as it does when there is no more.

    Raises:
        CannotRun: this system has no such limit.
    """
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit_bytes / total), device)
        return
    if not sys.platform.startswith("linux"):
        raise CannotRun("host memory can be limited on Linux only")
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))


def host_memory(workers: Iterable[int] = ()) -> Memory:
    """Read this process's `peak_rss_bytes` and the `workers_pss_bytes` of the given processes.

    The peak is VmHWM: `ru_maxrss` starts from the parent's peak when a process is started by fork
    and exec. Workers share pages with the trainer, so their share is PSS, which counts a page
    shared by n processes 1/n in each; None when one of them cannot be read, since a part is no sum.
    """
    if not sys.platform.startswith("linux"):
        names = ("peak_rss_bytes", "workers_pss_bytes")
        return Memory(
            values=dict.fromkeys(names), unavailable=dict.fromkeys(names, "not_on_this_os")
        )
    readings = {
        "peak_rss_bytes": _kib_line(PROC / "self" / "status", "VmHWM"),
        "workers_pss_bytes": _sum_pss(workers),
    }
    return Memory(
        values={name: v if isinstance(v, int) else None for name, v in readings.items()},
        unavailable={name: v for name, v in readings.items() if isinstance(v, str)},
    )


def _sum_pss(pids: Iterable[int]) -> int | str:
    """Return the sum of the processes' PSS, or the reason why there is none."""
    total = 0
    for pid in pids:
        pss = _kib_line(PROC / str(pid) / "smaps_rollup", "Pss")
        if isinstance(pss, str):
            return pss
        total += pss
    return total


def _kib_line(path: Path, name: str) -> int | str:
    """Return the bytes of a line `name:  123 kB`, or the reason why there is none."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except PermissionError:
        return "no_permission"
    except OSError:  # it ended, or this kernel has no such file
        return "no_data"
    for line in text.splitlines():
        key, _, rest = line.partition(":")
        if key == name and rest.split()[:1] and rest.split()[0].isdecimal():
            return int(rest.split()[0]) * 1024
    return "no_data"
