"""The recorder's file: readable while it is written, on a full disk, in forked children; all that stays."""

from __future__ import annotations

import errno
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from recorded_steps import Clock, device_step, has_no_device_fields, host_step, read
from simulated_device import SimulatedDevice

from perfkit.records import (
    FORWARD,
    STEPS,
)
from perfkit.training.probe import outfiles
from perfkit.training.probe.recorder import Recorder

needs_dev_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")


def test_a_drain_without_synchronising_waits_for_nothing(path: Path) -> None:
    """Every step is on disk after it; those the device has not finished lack its fields."""
    device = SimulatedDevice()
    recorder = Recorder(path, device=device)
    for _ in range(3):
        device_step(recorder, device)
    recorder.end_step()
    before_ns = device.host_ns()
    recorder.drain()
    assert device.host_ns() == before_ns
    records = read(path)
    assert len(records) == 3
    assert has_no_device_fields(records[2])
    recorder.close()


def test_the_file_is_readable_while_it_is_written(path: Path) -> None:
    """Records reach the disk after half a second or some steps, and at once by a drain."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    assert read(path) == []
    for _ in range(3):
        host_step(recorder, clock)
    assert read(path) == []
    clock.now_ns += 500_000_000
    host_step(recorder, clock)
    assert len(read(path)) == 2
    recorder.end_step()
    recorder.drain()
    assert len(read(path)) == 4
    for _ in range(outfiles.WRITE_EVERY + 1):
        host_step(recorder, clock)
    written = len(read(path))
    assert written > 4
    host_step(recorder, clock)
    assert len(read(path)) == written
    recorder.close()


@needs_dev_full
@pytest.mark.parametrize("on_device", [False, True])
def test_a_full_disk_ends_the_recording_and_not_the_loop(
    path: Path, on_device: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """No call raises; it is said once; what was written stays; what comes after takes no memory."""
    clock = Clock()
    device = SimulatedDevice() if on_device else None
    recorder = Recorder(path, device=device, host_ns=clock)

    def step() -> None:
        host_step(recorder, clock) if device is None else device_step(recorder, device)

    for _ in range(3):
        step()
    if device is not None:
        device.synchronize()
    recorder.drain()
    written = path.read_bytes()
    handle = recorder._files.steps._file
    assert handle is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, handle)
    for _ in range(3 * outfiles.WRITE_EVERY):
        step()
    recorder.end_step()
    recorder.drain()
    recorder.close()
    os.close(full)
    assert recorder.failure is not None
    assert recorder.failure.errno == errno.ENOSPC
    assert path.read_bytes() == written
    assert [record.index for record in read(path)] == [0, 1]
    assert recorder.steps == 3 * outfiles.WRITE_EVERY + 3
    assert len(recorder._files.steps._buffer) == 0
    assert capfd.readouterr().err.count("steps are no longer recorded") == 1


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def in_a_fork(call: Callable[[], None]) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            call()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@needs_fork
def test_in_a_forked_child_it_is_off(path: Path) -> None:
    """A loader worker writes nothing, neither its own nor what the parent has not written yet."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    host_step(recorder, clock)

    def worker() -> None:
        recorder.enter(FORWARD)
        recorder.leave(FORWARD)
        recorder.end_step()
        recorder.close()

    in_a_fork(worker)
    host_step(recorder, clock)
    recorder.end_step()
    recorder.close()
    assert [record.index for record in read(path)] == [0, 1]
    assert [file.name for file in path.parent.iterdir()] == ["steps.bin"]


@needs_fork
def test_a_forked_child_that_trains_has_a_file_of_its_own(path: Path) -> None:
    """Its steps begin at 0, and the parent's go on as if there had been no child."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    for _ in range(3):
        host_step(recorder, clock)

    def trainer() -> None:
        for _ in range(2):
            host_step(recorder, clock)
        recorder.end_step()
        recorder.close()

    in_a_fork(trainer)
    recorder.end_step()
    recorder.close()
    (childs,) = path.parent.glob("steps-*.bin")
    assert [record.index for record in read(childs)] == [0, 1]
    assert [record.index for record in read(path)] == [0, 1, 2]


@pytest.mark.parametrize(("steps", "on_device"), [(300_000, False), (30_000, True)])
def test_memory_is_bounded(path: Path, steps: int, on_device: bool) -> None:
    """Steps leave nothing behind but their file, at no more than 200 bytes a step."""
    clock = Clock()
    device = SimulatedDevice() if on_device else None
    recorder = Recorder(path, device=device, host_ns=clock)

    def run(count: int) -> None:
        for _ in range(count):
            recorder.before_next(2)
            recorder.after_next(8)
            recorder.enter(FORWARD)
            recorder.leave(FORWARD)
            clock.now_ns += 1_000

    run(1_000)
    tracemalloc.start()
    try:
        run(steps)
        kept_bytes, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    recorder.end_step()
    recorder.close()
    assert kept_bytes < 100_000
    assert most_bytes < 200_000
    assert STEPS.count(path) == steps + 1_000
    assert path.stat().st_size <= 200 * steps
