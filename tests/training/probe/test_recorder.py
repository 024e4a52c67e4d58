"""The recorder, call by call."""

from __future__ import annotations

import errno
import math
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simulated_device import Mark, SimulatedDevice

from perfkit.records import STEPS, StepRecord
from perfkit.training.probe import recorder as recorder_module
from perfkit.training.probe.recorder import Recorder

DEVICE_FIELDS = (
    "exposed_wait_s",
    "lead_s",
    "device_step_s",
    "device_h2d_s",
    "device_forward_s",
    "device_backward_s",
    "device_optimizer_s",
)

needs_dev_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")


class Clock:
    """A host clock that is set by hand."""

    def __init__(self) -> None:
        self.now_ns = 1_000

    def __call__(self) -> int:
        return self.now_ns

    def let(self, duration_ns: int, call: Callable[[], None]) -> None:
        self.now_ns += duration_ns
        call()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "steps.bin"


def host_step(recorder: Recorder, clock: Clock, depth: int = -1) -> None:
    """One step of 100 ns: waits 10, phases 20, 30, 5, 15, and 20 of the rest."""
    recorder.before_next(depth)
    clock.let(10, lambda: recorder.after_next(8))
    clock.let(20, recorder.after_h2d)
    clock.let(30, recorder.after_forward)
    clock.let(5, recorder.after_backward)
    clock.let(15, recorder.after_optimizer)
    clock.now_ns += 20


def device_step(recorder: Recorder, device: SimulatedDevice) -> None:
    """A step with one kernel in each phase."""
    recorder.before_next()
    device.compute(10_000)
    recorder.after_next(8)
    for end_phase in (
        recorder.after_h2d,
        recorder.after_forward,
        recorder.after_backward,
        recorder.after_optimizer,
    ):
        device.launch(50_000)
        end_phase()


def read(path: Path) -> list[StepRecord]:
    return list(STEPS.read(path))


def seconds(*times_ns: int) -> list[Any]:
    return [pytest.approx(time_ns * 1e-9) for time_ns in times_ns]


def has_no_device_fields(record: StepRecord) -> bool:
    return all(math.isnan(getattr(record, name)) for name in DEVICE_FIELDS)


def test_what_is_read_back_is_what_happened(path: Path) -> None:
    """Without a device every host time is in the record, and the wait is exposed as it is."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    recorder.block = 7
    for depth in (3, 2):
        host_step(recorder, clock, depth)
    recorder.end_steps()
    recorder.close()
    first, second = read(path)
    assert first[:5] == (0, 7, 8, 3, 1_000)
    assert second[:5] == (1, 7, 8, 2, 1_100)
    assert list(first[5:11]) == seconds(100, 10, 20, 30, 5, 15)
    assert first.other_s == pytest.approx(20e-9)
    assert first.exposed_wait_s == first.data_wait_s
    assert first.lead_s == 0.0
    assert all(math.isnan(getattr(first, name)) for name in DEVICE_FIELDS[2:])
    assert recorder.steps == 2


def test_a_phase_that_is_not_reported_is_missing_and_falls_to_the_next(path: Path) -> None:
    """Missing is not zero."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    recorder.before_next()
    recorder.after_next(1)
    clock.let(20, lambda: None)
    clock.let(30, recorder.after_forward)
    recorder.end_steps()
    recorder.close()
    (record,) = read(path)
    assert record.forward_s == pytest.approx(50e-9)
    assert math.isnan(record.h2d_s)
    assert math.isnan(record.backward_s)


def test_accumulated_passes_add_up_on_both_clocks(path: Path) -> None:
    """Two forwards and backwards in a step are its forward and backward."""
    device = SimulatedDevice(launch_ns=1_000)
    recorder = Recorder(path, device=device)
    recorder.before_next()
    recorder.after_next(1)
    for _ in range(2):
        device.launch(40_000)
        recorder.after_forward()
        device.launch(70_000)
        recorder.after_backward()
    recorder.end_steps()
    device.synchronize()
    recorder.close()
    (record,) = read(path)
    assert [record.forward_s, record.backward_s] == seconds(2_000, 2_000)
    # the launch of the first kernel is idle time inside the first forward
    assert [record.device_forward_s, record.device_backward_s] == seconds(81_000, 140_000)
    assert math.isnan(record.device_h2d_s)


def test_a_step_that_got_no_batch_leaves_no_record(path: Path) -> None:
    """The end of an epoch is asked for like a batch, and is no step."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    host_step(recorder, clock)
    recorder.before_next()
    clock.now_ns += 1_000
    host_step(recorder, clock)
    recorder.end_steps()
    recorder.end_steps()
    recorder.close()
    records = read(path)
    assert [record.index for record in records] == [0, 1]
    assert [record.step_s for record in records] == seconds(100, 100)


def test_calls_outside_a_step_are_ignored(path: Path) -> None:
    """An evaluation between two stretches reports phases that belong to no step."""
    device = SimulatedDevice()
    recorder = Recorder(path, device=device)
    recorder.after_next(8)
    recorder.after_forward()
    device_step(recorder, device)
    recorder.after_next(99)
    recorder.end_steps()
    recorder.after_forward()
    device.synchronize()
    recorder.close()
    (record,) = read(path)
    assert record.samples == 8
    assert record.device_forward_s == pytest.approx(50e-6)


def test_a_phase_that_ends_inside_next_is_part_of_the_wait(path: Path) -> None:
    """A loader that moves its batches to the device itself does so while it is waited for."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    recorder.before_next()
    clock.let(30, recorder.after_h2d)
    clock.let(10, lambda: recorder.after_next(1))
    recorder.end_steps()
    recorder.close()
    (record,) = read(path)
    assert record.data_wait_s == pytest.approx(40e-9)
    assert math.isnan(record.h2d_s)


def test_marks_are_used_again_from_stretch_to_stretch(path: Path) -> None:
    """Neither the mark a stretch ends with nor the one the next begins with is lost."""
    device = SimulatedDevice()
    recorder = Recorder(path, device=device)
    for _ in range(50):
        device_step(recorder, device)
        recorder.end_steps()
        device.synchronize()
        recorder.drain()
    recorder.close()
    assert device.marks_made < 20


def test_own_time_is_in_no_phase(path: Path) -> None:
    """What our calls take on the host is counted, and falls to the rest of the step."""
    ticks = iter(range(0, 10_000, 10))
    recorder = Recorder(path, host_ns=lambda: next(ticks))
    for _ in range(2):
        recorder.before_next()
        recorder.after_next(1)
        recorder.after_h2d()
        recorder.after_forward()
        recorder.after_backward()
        recorder.after_optimizer()
    recorder.end_steps()
    recorder.close()
    first, _ = read(path)
    assert list(first[5:11]) == seconds(120, 10, 10, 10, 10, 10)
    assert recorder.own_ns == 2 * 6 * 10 + 10
    assert recorder.cost_s() == pytest.approx(65e-9)


def test_cost_before_the_first_step_is_unknown(path: Path) -> None:
    """No step, no cost per step."""
    assert math.isnan(Recorder(path).cost_s())


def test_a_captured_step_has_no_device_fields(path: Path) -> None:
    """While a graph is captured nothing is put or asked; the steps round it are measured."""
    device = SimulatedDevice()
    recorder = Recorder(path, device=device)
    device_step(recorder, device)
    device_step(recorder, device)
    with device.capture():
        device_step(recorder, device)
        device_step(recorder, device)
    device_step(recorder, device)
    device_step(recorder, device)
    recorder.end_steps()
    device.synchronize()
    recorder.close()
    records = read(path)
    # the second step was to end with a mark inside the capture
    assert [has_no_device_fields(record) for record in records] == [
        False, True, True, True, False, False,
    ]  # fmt: skip
    assert records[2].forward_s == pytest.approx(4e-6)


def test_a_capture_inside_a_step_costs_only_its_own_fields(path: Path) -> None:
    """A forward captured in the middle loses that step and no other."""
    device = SimulatedDevice()
    recorder = Recorder(path, device=device)
    device_step(recorder, device)
    recorder.before_next()
    recorder.after_next(8)
    with device.capture():
        recorder.after_h2d()
        recorder.after_forward()
    device_step(recorder, device)
    recorder.end_steps()
    device.synchronize()
    recorder.close()
    assert [has_no_device_fields(record) for record in read(path)] == [False, True, False]


def test_the_lead_is_carried_over_a_stretch_s_end(path: Path) -> None:
    """Work between two stretches, of which the recorder sees nothing, is lead of the next step."""
    device = SimulatedDevice(launch_ns=1_000)
    recorder = Recorder(path, device=device)
    device_step(recorder, device)
    recorder.end_steps()
    for _ in range(3):
        device.launch(1_000_000)
    true_lead_s = device.backlog_ns() * 1e-9
    device_step(recorder, device)
    recorder.end_steps()
    device.synchronize()
    recorder.close()
    assert read(path)[1].lead_s == pytest.approx(true_lead_s, rel=1e-6)
    assert true_lead_s > 3e-3


def test_a_mark_that_is_done_does_not_make_the_device_idle(path: Path) -> None:
    """All marks are reached when a step asks for its batch, and the work after them is not done."""
    device = SimulatedDevice(launch_ns=1_000)
    recorder = Recorder(path, device=device, phase_every=2)
    for _ in range(4):
        recorder.before_next()
        device.compute(500_000)
        recorder.after_next(1)
        device.launch(400_000)
    recorder.end_steps()
    device.synchronize()
    recorder.close()
    leads = [record.lead_s for record in read(path)]
    assert leads == [pytest.approx(0.0, abs=1e-9), *seconds(400_000, 400_000, 400_000)]


def test_steps_the_device_never_finishes_are_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for the device is bounded: the oldest lose its fields, the newest are measured."""
    monkeypatch.setattr(recorder_module, "MOST_PENDING", 10)
    monkeypatch.setattr(recorder_module, "WRITE_EVERY", 1)
    device = SimulatedDevice()
    recorder = Recorder(path, device=device)
    device.launch(10**12)
    for _ in range(25):
        device_step(recorder, device)
    recorder.end_steps()
    device.synchronize()
    recorder.drain()
    device_step(recorder, device)
    recorder.end_steps()
    device.synchronize()
    recorder.close()
    records = read(path)
    assert [record.index for record in records] == list(range(26))
    missing = [has_no_device_fields(record) for record in records]
    assert missing == [True] * 14 + [False] * 12
    assert records[0].step_s > 0.0


def test_a_step_with_too_many_marks_gets_no_phases(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An evaluation inside a step does not gather marks without end."""
    monkeypatch.setattr(recorder_module, "MOST_PHASE_MARKS", 50)
    device = SimulatedDevice()
    recorder = Recorder(path, device=device)
    device_step(recorder, device)
    for _ in range(500):
        recorder.after_forward()
    device_step(recorder, device)
    recorder.end_steps()
    device.synchronize()
    recorder.close()
    first, second = read(path)
    assert math.isnan(first.device_forward_s)
    assert first.device_step_s > 0.0
    assert second.device_forward_s == pytest.approx(50e-6)
    assert device.marks_made < 70


def test_a_drain_without_synchronising_waits_for_nothing(path: Path) -> None:
    """Every step is on disk after it; those the device has not finished lack its fields."""
    device = SimulatedDevice()
    recorder = Recorder(path, device=device)
    for _ in range(3):
        device_step(recorder, device)
    recorder.end_steps()
    before_ns = device.host_ns()
    recorder.drain()
    assert device.host_ns() == before_ns
    records = read(path)
    assert len(records) == 3
    assert has_no_device_fields(records[2])
    recorder.close()


def test_a_device_that_cannot_tell_an_interval_costs_the_step_its_fields(path: Path) -> None:
    """Marks on two streams that do not wait for each other have no interval."""

    class TwoStreams(SimulatedDevice):
        asked = 0

        def elapsed_s(self, first: Mark, second: Mark) -> float:
            self.asked += 1
            return math.nan if self.asked == 3 else super().elapsed_s(first, second)

    device = TwoStreams()
    recorder = Recorder(path, device=device)
    for _ in range(4):
        device_step(recorder, device)
    recorder.end_steps()
    device.synchronize()
    recorder.close()
    assert [has_no_device_fields(record) for record in read(path)] == [True, False, False, False]


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
    recorder.end_steps()
    recorder.drain()
    assert len(read(path)) == 4
    for _ in range(recorder_module.WRITE_EVERY + 1):
        host_step(recorder, clock)
    written = len(read(path))
    assert written > 4
    host_step(recorder, clock)
    assert len(read(path)) == written
    recorder.close()


@needs_dev_full
def test_a_full_disk_is_reported_and_what_was_written_stays(path: Path) -> None:
    """The error comes as it is; nothing is lost, doubled or torn once there is room again."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    for _ in range(3):
        host_step(recorder, clock)
    recorder.drain()
    host_step(recorder, clock)
    handle = recorder._file._file
    kept = os.dup(handle)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, handle)
    clock.now_ns += 10**9
    with pytest.raises(OSError, match="No space left") as raised:
        recorder.before_next()
    assert raised.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="No space left"):
        recorder.before_next()
    with pytest.raises(OSError, match="No space left"):
        recorder.drain()
    assert [record.index for record in read(path)] == [0, 1]
    os.dup2(kept, handle)
    host_step(recorder, clock)
    recorder.end_steps()
    recorder.close()
    os.close(kept)
    os.close(full)
    assert [record.index for record in read(path)] == [0, 1, 2, 3, 4]


@needs_dev_full
def test_a_full_disk_keeps_the_device_s_steps_too(path: Path) -> None:
    """The boundary is marked although the write before it failed."""
    device = SimulatedDevice()
    recorder = Recorder(path, device=device)
    device_step(recorder, device)
    device_step(recorder, device)
    handle = recorder._file._file
    kept = os.dup(handle)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, handle)
    device.compute(10**9)
    with pytest.raises(OSError, match="No space left"):
        recorder.before_next()
    os.dup2(kept, handle)
    device_step(recorder, device)
    recorder.end_steps()
    device.synchronize()
    recorder.close()
    os.close(kept)
    os.close(full)
    records = read(path)
    assert [record.index for record in records] == [0, 1, 2]
    assert not any(has_no_device_fields(record) for record in records)


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
            recorder.after_forward()
            clock.now_ns += 1_000

    run(1_000)
    tracemalloc.start()
    try:
        run(steps)
        kept_bytes, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    recorder.end_steps()
    recorder.close()
    assert kept_bytes < 100_000
    assert most_bytes < 200_000
    assert STEPS.count(path) == steps + 1_000
    assert path.stat().st_size <= 200 * steps


def test_phases_must_be_marked_sometimes(path: Path) -> None:
    """A period of no steps is a mistake."""
    with pytest.raises(ValueError, match="phase_every is 0"):
        Recorder(path, phase_every=0)
