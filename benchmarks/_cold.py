"""What a call costs here once a training step has driven its code and data out of the caches.

The recorder's own calls are such: each comes after milliseconds of somebody else's work, and no program
makes its first call faster than these.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from _loops import Step

from perfkit.report.markdown import table
from perfkit.stats import median
from perfkit.training.probe.rundelay import RunDelay

_ROUNDS = 100
Calls = dict[str, dict[str, float]]


def calls(work: Step) -> Calls:
    """Return seconds of the first call after `work` and of the second, by what is called; medians."""
    delay = RunDelay()
    delay.read_ns()
    found: Calls = {}
    for name, call in {
        "an empty Python function": _empty,
        "the thread's CPU clock": time.thread_time_ns,
        "the kernel's run delay": delay.read_ns,
    }.items():
        first_ns, second_ns = zip(*(_timed(work, call) for _ in range(_ROUNDS)), strict=True)
        found[name] = {"cold_s": median(first_ns) * 1e-9, "hot_s": median(second_ns) * 1e-9}
    delay.close()
    return found


def told(found: Calls, length_s: float) -> str:
    """Return the calls as a table in Markdown."""
    rows = [[name, _micros(took["cold_s"]), _micros(took["hot_s"])] for name, took in found.items()]
    title = f"What a cold call costs here, after {1e3 * length_s:.0f} ms of other work"
    return table([title, "First", "Second"], [False, True, True], rows)


def _timed(work: Step, call: Callable[[], Any]) -> tuple[int, int]:
    work()
    # the clock itself is warm by then
    time.perf_counter_ns()
    begin_ns = time.perf_counter_ns()
    call()
    between_ns = time.perf_counter_ns()
    call()
    return between_ns - begin_ns, time.perf_counter_ns() - between_ns


def _empty() -> None: ...


def _micros(seconds: float) -> str:
    return f"{1e6 * seconds:.1f} µs"
