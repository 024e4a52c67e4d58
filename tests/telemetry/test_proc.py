"""Parsing of /proc, on files of known content and on the machine's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from perfkit.telemetry import proc

STAT = """\
cpu  30 3 33 300 60 6 9 12 5 0
cpu0 10 1 11 100 20 2 3 4 5 0
cpu1 20 2 22 200 40 4 6 8 0 0
intr 12345
"""
MEMINFO = "MemTotal:        8000 kB\nMemFree:  10 kB\nMemAvailable:    4000 kB\n"
TICK_S = 1 / proc.TICKS_PER_S

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this /proc")


@pytest.fixture
def root(tmp_path: Path) -> str:
    (tmp_path / "stat").write_text(STAT)
    (tmp_path / "meminfo").write_text(MEMINFO)
    return str(tmp_path)


def test_busy_is_all_but_idle(root: str) -> None:
    """Waiting for I/O is idle, stolen time is busy, guest time is in user already."""
    times = proc.cpu_times((0,), root)
    assert times is not None
    assert times.busy_s == pytest.approx((10 + 1 + 11 + 2 + 3 + 4) * TICK_S)
    assert times.total_s == pytest.approx((10 + 1 + 11 + 100 + 20 + 2 + 3 + 4) * TICK_S)


def test_only_our_processors_count(root: str) -> None:
    """Two processors have the sum of their times."""
    both, first, second = (proc.cpu_times(cpus, root) for cpus in ((0, 1), (0,), (1,)))
    assert both is not None
    assert first is not None
    assert second is not None
    assert both.busy_s == pytest.approx(first.busy_s + second.busy_s)


@pytest.mark.parametrize("cpus", [(), (0, 7)])
def test_a_processor_that_is_not_listed(root: str, cpus: tuple[int, ...]) -> None:
    """A container may list others than those it lets us run on: that is no number."""
    assert proc.cpu_times(cpus, root) is None


def test_memory(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's estimate in bytes, or what the group has left; None from a kernel that makes none."""
    assert proc.memory_available_bytes(root) == 4000 * 1024
    monkeypatch.setattr(proc.limits, "group_free_bytes", lambda: 1000)
    assert proc.memory_available_bytes(root) == 1000
    (tmp_path / "meminfo").write_text("MemTotal: 8000 kB\n")
    assert proc.memory_available_bytes(root) is None


def test_files_that_fail_are_missing_values(tmp_path: Path) -> None:
    """What cannot be read is None, also when it stops to be readable between two readings."""
    assert proc.cpu_times((0,), str(tmp_path)) is None
    assert proc.memory_available_bytes(str(tmp_path)) is None


def test_why_there_is_nothing_to_read(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No /proc, another system and a missing permission are different reasons."""
    assert proc.problem(root) is None
    nowhere = f"{root}/nowhere"
    monkeypatch.setattr(sys, "platform", "linux")
    assert proc.problem(nowhere) == "no_data"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert proc.problem(nowhere) == "not_on_this_os"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert proc.problem(root) == "no_permission"


def test_a_process_of_any_name(root: str, tmp_path: Path) -> None:
    """A name may hold spaces, parentheses and what looks like numbers."""
    fields = "S 7 42 42 0 -1 4194560 1 2 3 4 150 50 30 10 20 0 1 0 900 1 2"
    (tmp_path / "77").mkdir()
    (tmp_path / "77" / "stat").write_text(f"77 (a) 1 2 (b c) {fields}\n")
    process = proc.process(77, root)
    assert process == proc.ProcessCpu(
        pid=77,
        parent=7,
        group=42,
        start_s=900 * TICK_S,
        own_s=200 * TICK_S,
        children_s=40 * TICK_S,
    )
    assert proc.pids(root) == [77]


def test_a_process_that_is_gone(root: str) -> None:
    """It has no times."""
    assert proc.process(78, root) is None


@linux_only
def test_this_process() -> None:
    """The real /proc has this process, with its parent and its group."""
    process = proc.process(os.getpid())
    assert process is not None
    assert (process.parent, process.group) == (os.getppid(), os.getpgrp())
    assert os.getpid() in proc.pids()


@linux_only
def test_this_machine() -> None:
    """The real /proc lists the processors that we may run on."""
    assert proc.problem() is None
    times = proc.cpu_times(proc.allowed_cpus())
    if times is None:
        pytest.skip("this container's /proc/stat does not list our processors")
    assert 0 <= times.busy_s <= times.total_s
