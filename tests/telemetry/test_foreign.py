"""Whose CPU it was: arithmetic on snapshots made by hand, and the gauge on real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench_process import wait_for

from perfkit.telemetry import foreign, proc
from perfkit.telemetry.foreign import HostSnapshot
from perfkit.telemetry.proc import CpuTimes, ProcessCpu

ROUNDING_S = 10 / proc.TICKS_PER_S
"""Several counters of whole ticks each."""

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this /proc")


def process(
    pid: int, own_s: float, *, parent: int = 1, start_s: float = 0, children_s: float = 0
) -> ProcessCpu:
    return ProcessCpu(
        pid=pid, parent=parent, group=pid, start_s=start_s, own_s=own_s, children_s=children_s
    )


def snapshot(
    busy_s: float, *processes: ProcessCpu, at_s: float = 100, cpus: tuple[int, ...] = (0, 1)
) -> HostSnapshot:
    return HostSnapshot(
        t_ns=int(at_s * 1e9),
        booted_s=at_s,
        cpus=cpus,
        cpu=CpuTimes(busy_s, 2 * at_s),
        processes={one.pid: one for one in processes},
    )


def test_foreign_is_busy_less_ours() -> None:
    """8 s busy, of which our two processes used 4 and 1: 3 s were somebody else's."""
    before = snapshot(50, process(10, 5), process(11, 2))
    after = snapshot(58, process(10, 9), process(11, 3), at_s=104)
    assert foreign.own_cpu_s(before, after) == pytest.approx(5)
    assert foreign.foreign_cpu_s(before, after) == pytest.approx(3)


def test_a_process_that_began_in_between_is_ours_whole() -> None:
    """What a new worker used, and the children it waited for, was used in between."""
    before = snapshot(50, process(10, 5))
    worker = process(12, 1.5, parent=10, start_s=101, children_s=0.5)
    assert foreign.own_cpu_s(
        before, snapshot(58, process(10, 6), worker, at_s=104)
    ) == pytest.approx(3)


def test_a_process_that_ended_is_not_lost() -> None:
    """Its parent, who waited for it, has its time; what was counted before is not counted twice."""
    before = snapshot(50, process(10, 5), process(11, 2, parent=10))
    after = snapshot(58, process(10, 6, children_s=4), at_s=104)
    assert foreign.own_cpu_s(before, after) == pytest.approx(1 + 2)


def test_a_pid_that_was_used_again_is_another_process() -> None:
    """The start time tells them apart."""
    before = snapshot(50, process(10, 5), process(11, 2, parent=10))
    again = process(11, 0.25, parent=10, start_s=102)
    after = snapshot(58, process(10, 5, children_s=2), again, at_s=104)
    assert foreign.own_cpu_s(before, after) == pytest.approx(0.25)


def test_foreign_is_never_below_zero() -> None:
    """Ticks are cut off in each counter by itself."""
    before, after = snapshot(50, process(10, 5)), snapshot(51, process(10, 6.02), at_s=101)
    assert foreign.foreign_cpu_s(before, after) == 0


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(snapshot(58, process(10, 6), at_s=104, cpus=(0,)), id="other processors"),
        pytest.param(snapshot(50, process(10, 6), at_s=100), id="counters that stand still"),
        pytest.param(
            snapshot(58, process(10, 6), process(13, 9, start_s=3), at_s=104), id="unknown before"
        ),
        pytest.param(HostSnapshot(t_ns=1, booted_s=104, cpus=(0, 1), cpu=None), id="no counters"),
    ],
)
def test_what_cannot_be_told_is_missing(after: HostSnapshot) -> None:
    """None, and never a zero that would say that we were alone."""
    assert foreign.foreign_cpu_s(snapshot(50, process(10, 5)), after) is None


@pytest.mark.parametrize(
    ("foreign_s", "own_s", "wall_s", "cores", "expected"),
    [
        (2.0, 18.0, 10.0, 2, True),
        (1.9, 18.0, 10.0, 2, False),  # below a tenth of our cores
        (2.0, 13.0, 10.0, 2, False),  # half a core was free
        (2.0, 13.1, 10.0, 2, True),
        (0.04, 0.16, 0.1, 2, False),  # may be rounding of the counters
        (0.05, 0.15, 0.1, 2, True),
        (1.0, 1.0, 0.0, 2, False),
    ],
)
def test_disturbed(
    foreign_s: float, own_s: float, wall_s: float, cores: int, expected: bool
) -> None:
    """It takes a load worth naming and no room for it; at the thresholds and just beside them."""
    assert foreign.disturbed(foreign_s, own_s, wall_s, cores) is expected


def test_no_proc_is_said(tmp_path: Path) -> None:
    """Without /proc a snapshot has a reason for everything that it lacks."""
    taken = foreign.Gauge(root=str(tmp_path / "none")).snapshot()
    assert (taken.cpu, taken.memory_available_bytes, taken.processes) == (None, None, {})
    assert set(taken.unavailable) == {"foreign_cpu_s", "memory_available_bytes"}
    assert foreign.foreign_cpu_s(taken, taken) is None


@contextmanager
def spinning() -> Iterator[int]:
    """A process in a group of its own that uses all the CPU it gets."""
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    try:
        yield child.pid
    finally:
        child.kill()
        child.wait()


def cpu_s(pid: int) -> float:
    found = proc.process(pid)
    assert found is not None
    return found.own_s


def gauge_on_this_machine() -> foreign.Gauge:
    gauge = foreign.Gauge()
    if gauge.snapshot().cpu is None:
        pytest.skip("this container's /proc/stat does not list our processors")
    return gauge


@linux_only
def test_a_stranger_beside_us_is_seen() -> None:
    """At least what one busy process of another group used was foreign."""
    gauge = gauge_on_this_machine()
    before = gauge.snapshot()
    with spinning() as pid:
        wait_for(lambda: cpu_s(pid) >= 0.4)
        used_s = cpu_s(pid)
        after = gauge.snapshot()
    foreign_s = foreign.foreign_cpu_s(before, after)
    assert foreign_s is not None
    assert foreign_s >= used_s - ROUNDING_S
    assert os.getpid() in after.processes
    assert pid not in after.processes


@linux_only
@pytest.mark.parametrize("known_by", ["group", "pid"])
def test_what_is_ours_is_not_foreign(known_by: str) -> None:
    """The same process is ours when its group is named, or when the gauge was told of it."""
    gauge = gauge_on_this_machine()
    with spinning() as pid:
        groups = [pid] if known_by == "group" else []
        if known_by == "pid":
            gauge.add(pid)
        before = gauge.snapshot(groups)
        began_s = before.processes[pid].own_s
        wait_for(lambda: cpu_s(pid) >= began_s + 0.4)
        after = gauge.snapshot(groups)
    own_s = foreign.own_cpu_s(before, after)
    assert own_s is not None
    assert own_s >= 0.4 - ROUNDING_S
    foreign_s, busy_s = foreign.foreign_cpu_s(before, after), busy_between(before, after)
    assert foreign_s is not None
    assert foreign_s <= max(0.0, busy_s - 0.4) + ROUNDING_S


def busy_between(before: HostSnapshot, after: HostSnapshot) -> float:
    assert before.cpu is not None
    assert after.cpu is not None
    return after.cpu.busy_s - before.cpu.busy_s
