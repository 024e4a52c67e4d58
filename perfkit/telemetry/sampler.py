"""The sampler: a child process that appends what NVML and /proc say, a line every 0.2 s.

    python -m perfkit.telemetry.sampler --out FILE --interval 0.2 [--gpu-uuid UUID ...]

Why a process of its own: a thread in the trainer shares its interpreter lock, so both would smear each
other's times. It ends when its standard input does, that is when its parent is gone for whatever
reason, and ignores Ctrl-C: the parent decides. A sample that cannot be written is lost, and the next
one is tried; samples lost make its exit code 1.

The first line is the head: `format`, versions, what is sampled and what cannot be. Every other line is
a sample: `t_ns` and `t_end_ns` (`perf_counter_ns` before and after reading), `gpus`, `host`,
`unavailable` (reason codes by `NAME`, or `UUID.NAME` for a GPU). On Linux `perf_counter_ns` is
CLOCK_MONOTONIC, one clock for all processes, so samples and steps can be laid side by side. The CPU's
busy share is of the time since the sample before, counted in ticks of 10 ms.

Format history:
    1  first version.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perfkit import __version__
from perfkit.errors import EXIT_FAILED, EXIT_OK
from perfkit.jsonlines import JsonLines
from perfkit.telemetry import proc
from perfkit.telemetry.nvml import Gpu, Nvml
from perfkit.telemetry.proc import CpuTimes
from perfkit.telemetry.reading import REASONS, Reading
from perfkit.wire import die_with_parent

FORMAT = 1
HOST_NAMES = ("cpu_busy_share", "memory_available_bytes")


class Host:
    """The host's values; its busy share is of the time since the last reading."""

    def __init__(self, root: str = proc.ROOT) -> None:
        self._root = root
        self._cpus = proc.allowed_cpus()
        self._last: CpuTimes | None = None

    def read(self) -> Reading:
        """Read every value once; a value that cannot be read is None with a reason code."""
        reason = proc.problem(self._root)
        if reason is not None:
            return Reading(dict.fromkeys(HOST_NAMES), dict.fromkeys(HOST_NAMES, reason))
        now = proc.cpu_times(self._cpus, self._root)
        values: dict[str, float | None] = {
            "cpu_busy_share": _busy_share(self._last, now),
            "memory_available_bytes": proc.memory_available_bytes(self._root),
        }
        self._last = now
        return Reading(values, {name: "no_data" for name, v in values.items() if v is None})


def head(interval_s: float, nvml: Nvml | None, gpus: Sequence[Gpu]) -> dict[str, Any]:
    """Return the first line of a file: what is sampled, by what, and what cannot be."""
    problems = {gpu.uuid: gpu.problem for gpu in gpus if gpu.problem is not None}
    if nvml is not None and nvml.problem is not None:
        problems = {"nvml": nvml.problem}
    return {
        "format": FORMAT,
        "perfkit": __version__,
        "pid": os.getpid(),
        "interval_s": interval_s,
        "clock": "perf_counter_ns",
        "driver": None if nvml is None else nvml.driver_version,
        "gpus": [{"uuid": gpu.uuid, "name": gpu.name} for gpu in gpus],
        "unavailable": {name: problem.code for name, problem in problems.items()},
        "reasons": {
            name: f"{REASONS[problem.code]}: {problem.detail}" for name, problem in problems.items()
        },
    }


def sample(host: Host, gpus: Sequence[Gpu]) -> dict[str, Any]:
    """Read everything once and return it as one line's object."""
    t_ns = time.perf_counter_ns()
    readings = [(gpu.uuid, gpu.read()) for gpu in gpus]
    of_host = host.read()
    unavailable = dict(of_host.unavailable)
    for uuid, reading in readings:
        unavailable |= {f"{uuid}.{name}": code for name, code in reading.unavailable.items()}
    return {
        "t_ns": t_ns,
        "t_end_ns": time.perf_counter_ns(),
        "gpus": [{"uuid": uuid, **reading.values} for uuid, reading in readings],
        "host": of_host.values,
        "unavailable": unavailable,
    }


def run(path: str, interval_s: float, gpu_uuids: Sequence[str], ended: threading.Event) -> int:
    """Append samples to `path` until `ended` is set; return the exit code."""
    nvml = Nvml() if gpu_uuids else None
    gpus = [] if nvml is None else [nvml.gpu(uuid) for uuid in gpu_uuids]
    host = Host()
    file = JsonLines(Path(path))
    begun = False
    lost, problem = 0, ""
    due = time.monotonic()
    while not ended.wait(max(0.0, due - time.monotonic())):
        try:
            if not begun:
                file.append(head(interval_s, nvml, gpus))
                begun = True
            file.append(sample(host, gpus))
        except OSError as error:
            lost, problem = lost + 1, error.strerror or str(error)
        # ticks missed while we or the machine stood still are not made up for
        due = max(due + interval_s, time.monotonic())
    if not lost:
        return EXIT_OK
    with contextlib.suppress(OSError):
        print(f"{lost} samples could not be written to {path}: {problem}", file=sys.stderr)
    return EXIT_FAILED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sampler until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m perfkit.telemetry.sampler")
    parser.add_argument("--out", required=True)
    parser.add_argument("--interval", type=float, default=0.2, help="seconds between samples")
    parser.add_argument("--gpu-uuid", action="append", default=[])
    options = parser.parse_args(arguments)
    if not options.interval > 0:
        parser.error(f"--interval {options.interval} should be above 0")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # a driver call may keep us from seeing standard input end
    die_with_parent()
    ended = threading.Event()
    threading.Thread(target=_await_eof, args=(ended,), daemon=True).start()
    return run(options.out, options.interval, options.gpu_uuid, ended)


def _busy_share(last: CpuTimes | None, now: CpuTimes | None) -> float | None:
    if last is None or now is None or now.total_s <= last.total_s:
        return None
    share = (now.busy_s - last.busy_s) / (now.total_s - last.total_s)
    # the kernel's idle counters may step back by a tick
    return min(1.0, max(0.0, share))


def _await_eof(ended: threading.Event) -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass  # no standard input at all: nobody to wait for
    ended.set()


if __name__ == "__main__":
    sys.exit(main())
