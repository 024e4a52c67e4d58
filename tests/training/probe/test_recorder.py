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

from perfkit.records import (
    BACKWARD,
    CHECKPOINT,
    EVALUATION,
    FORWARD,
    H2D,
    OPTIMIZER,
    SPANS,
    STEPS,
    StepRecord,
)
from perfkit.training.probe import outfiles
from perfkit.training.probe import steps as steps_module
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


def host_step(recorder: Recorder, clock: Clock, depth: int = -1, ready: int = -1) -> None:
    """One step of 100 ns: waits 10, phases 20, 30, 5, 15, and 20 of the rest."""
    recorder.before_next(depth, ready)
    clock.let(10, lambda: recorder.after_next(8))
    for phase, duration_ns in ((H2D, 20), (FORWARD, 30), (BACKWARD, 5), (OPTIMIZER, 15)):
        recorder.enter(phase)
        clock.now_ns += duration_ns
        recorder.leave(phase)
    clock.now_ns += 20


def device_step(recorder: Recorder, device: SimulatedDevice) -> None:
    """A step with one kernel in each phase."""
    recorder.before_next()
    device.compute(10_000)
    recorder.after_next(8)
    for phase in (H2D, FORWARD, BACKWARD, OPTIMIZER):
        recorder.enter(phase)
        device.launch(50_000)
        recorder.leave(phase)


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
    for depth, ready in ((3, 1), (2, 0)):
        host_step(recorder, clock, depth, ready)
    recorder.end_step()
    recorder.close()
    first, second = read(path)
    assert first[:8] == (0, 7, 8, 3, 1, 1, 1, 1_000)
    assert second[:8] == (1, 7, 8, 2, 0, 1, 1, 1_100)
    assert list(first[8:14]) == seconds(100, 10, 20, 30, 5, 15)
    assert first.other_s == pytest.approx(20e-9)
    assert first.exposed_wait_s == first.data_wait_s
    assert first.lead_s == 0.0
    assert all(math.isnan(getattr(first, name)) for name in DEVICE_FIELDS[2:])
    assert recorder.steps == 2


def test_a_phase_that_is_not_reported_is_missing(path: Path) -> None:
    """Missing is not zero, and what is in no phase is the rest."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    recorder.before_next()
    recorder.after_next(1)
    clock.now_ns += 20
    recorder.enter(FORWARD)
    clock.let(30, lambda: recorder.leave(FORWARD))
    recorder.end_step()
    recorder.close()
    (record,) = read(path)
    assert record.forward_s == pytest.approx(30e-9)
    assert record.step_s == pytest.approx(50e-9)
    assert math.isnan(record.h2d_s)
    assert math.isnan(record.backward_s)
    assert (record.backwards, record.updates) == (0, 0)


def test_a_phase_inside_another_is_its_own_alone(path: Path) -> None:
    """Lightning runs backward inside the optimizer's step; a backward inside a backward is one."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    recorder.before_next()
    recorder.after_next(1)
    recorder.enter(OPTIMIZER)
    clock.let(10, lambda: recorder.enter(FORWARD))
    clock.let(20, lambda: recorder.leave(FORWARD))
    clock.let(1, lambda: recorder.enter(BACKWARD))
    clock.let(20, lambda: recorder.enter(BACKWARD))
    clock.let(5, lambda: recorder.leave(BACKWARD))
    clock.let(5, lambda: recorder.leave(BACKWARD))
    clock.let(4, lambda: recorder.leave(OPTIMIZER))
    recorder.end_step()
    recorder.close()
    (record,) = read(path)
    times = [record.optimizer_s, record.forward_s, record.backward_s, record.step_s]
    assert times == seconds(15, 20, 30, 65)
    assert (record.backwards, record.updates) == (1, 1)


def test_what_was_entered_inside_a_phase_ends_with_it(path: Path) -> None:
    """An exception may jump over a `leave`; the next phase is not inside the old one."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    recorder.before_next()
    recorder.after_next(1)
    recorder.enter(OPTIMIZER)
    recorder.enter(BACKWARD)
    clock.let(10, lambda: recorder.leave(OPTIMIZER))
    clock.let(7, lambda: recorder.leave(BACKWARD))
    recorder.enter(FORWARD)
    clock.let(3, recorder.end_step)
    recorder.close()
    (record,) = read(path)
    assert [record.backward_s, record.forward_s, record.step_s] == seconds(10, 3, 20)


def test_work_between_steps_leaves_spans(path: Path) -> None:
    """When it began, after which step, how long, and how long without what was inside it."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    host_step(recorder, clock)
    recorder.end_step()
    recorder.enter(EVALUATION)
    clock.let(40, lambda: recorder.enter(CHECKPOINT))
    clock.let(25, lambda: recorder.leave(CHECKPOINT))
    clock.let(5, lambda: recorder.leave(EVALUATION))
    host_step(recorder, clock)
    recorder.end_step()
    recorder.close()
    inner, outer = SPANS.read(path.with_name("spans.bin"))
    assert inner[:3] == (CHECKPOINT, 1, 1_140)
    assert outer[:3] == (EVALUATION, 1, 1_100)
    assert [inner.span_s, inner.own_s, outer.span_s, outer.own_s] == seconds(25, 25, 70, 45)
    assert [record.step_s for record in read(path)] == seconds(100, 100)


def test_a_loop_without_such_work_makes_no_file_of_spans(path: Path) -> None:
    """There is nothing to read then."""
    recorder = Recorder(path, host_ns=Clock())
    recorder.close()
    assert not path.with_name("spans.bin").exists()


def test_accumulated_passes_add_up_on_both_clocks(path: Path) -> None:
    """Two forwards and backwards in a step are its forward and backward."""
    device = SimulatedDevice(launch_ns=1_000)
    recorder = Recorder(path, device=device)
    recorder.before_next()
    recorder.after_next(1)
    for _ in range(2):
        recorder.enter(FORWARD)
        device.launch(40_000)
        recorder.leave(FORWARD)
        recorder.enter(BACKWARD)
        device.launch(70_000)
        recorder.leave(BACKWARD)
    recorder.end_step()
    device.synchronize()
    recorder.close()
    (record,) = read(path)
    assert [record.forward_s, record.backward_s] == seconds(2_000, 2_000)
    assert record.backwards == 2
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
    recorder.end_step()
    recorder.end_step()
    recorder.close()
    records = read(path)
    assert [record.index for record in records] == [0, 1]
    assert [record.step_s for record in records] == seconds(100, 100)


def test_calls_outside_a_step_are_ignored(path: Path) -> None:
    """An evaluation between two stretches reports phases that belong to no step."""
    device = SimulatedDevice()
    recorder = Recorder(path, device=device)
    recorder.after_next(8)
    recorder.leave(FORWARD)
    device_step(recorder, device)
    recorder.after_next(99)
    recorder.end_step()
    recorder.enter(FORWARD)
    recorder.leave(FORWARD)
    device.synchronize()
    recorder.close()
    (record,) = read(path)
    assert record.samples == 8
    assert record.device_forward_s == pytest.approx(50e-6)


def test_a_phase_inside_next_is_part_of_the_wait(path: Path) -> None:
    """A loader that moves its batches to the device itself does so while it is waited for."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    recorder.before_next()
    recorder.enter(H2D)
    clock.let(30, lambda: recorder.leave(H2D))
    clock.let(10, lambda: recorder.after_next(1))
    recorder.end_step()
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
        recorder.end_step()
        device.synchronize()
        recorder.drain()
    recorder.close()
    assert device.marks_made < 24


def test_own_time_is_in_no_phase(path: Path) -> None:
    """What our calls take on the host is counted, and falls to the rest of the step."""
    ticks = iter(range(0, 10_000, 10))
    recorder = Recorder(path, host_ns=lambda: next(ticks))
    for _ in range(2):
        recorder.before_next()
        recorder.after_next(1)
        for phase in (H2D, FORWARD, BACKWARD, OPTIMIZER):
            recorder.enter(phase)
            recorder.leave(phase)
    recorder.end_step()
    recorder.close()
    first, _ = read(path)
    assert list(first[8:14]) == seconds(200, 10, 10, 10, 10, 10)
    assert recorder.own_ns == 2 * 10 * 10 + 10
    assert recorder.cost_s() == pytest.approx(105e-9)


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
    recorder.end_step()
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
        for phase in (H2D, FORWARD):
            recorder.enter(phase)
            recorder.leave(phase)
    device_step(recorder, device)
    recorder.end_step()
    device.synchronize()
    recorder.close()
    assert [has_no_device_fields(record) for record in read(path)] == [False, True, False]


def test_the_lead_is_carried_over_a_stretch_s_end(path: Path) -> None:
    """Work between two stretches, of which the recorder sees nothing, is lead of the next step."""
    device = SimulatedDevice(launch_ns=1_000)
    recorder = Recorder(path, device=device)
    device_step(recorder, device)
    recorder.end_step()
    for _ in range(3):
        device.launch(1_000_000)
    true_lead_s = device.backlog_ns() * 1e-9
    device_step(recorder, device)
    recorder.end_step()
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
    recorder.end_step()
    device.synchronize()
    recorder.close()
    leads = [record.lead_s for record in read(path)]
    assert leads == [pytest.approx(0.0, abs=1e-9), *seconds(400_000, 400_000, 400_000)]


def test_steps_the_device_never_finishes_are_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for the device is bounded: the oldest lose its fields, the newest are measured."""
    monkeypatch.setattr(steps_module, "MOST_PENDING", 10)
    monkeypatch.setattr(outfiles, "WRITE_EVERY", 1)
    device = SimulatedDevice()
    recorder = Recorder(path, device=device)
    device.launch(10**12)
    for _ in range(25):
        device_step(recorder, device)
    recorder.end_step()
    device.synchronize()
    recorder.drain()
    device_step(recorder, device)
    recorder.end_step()
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
    monkeypatch.setattr(steps_module, "MOST_PHASE_MARKS", 50)
    device = SimulatedDevice()
    recorder = Recorder(path, device=device)
    device_step(recorder, device)
    for _ in range(500):
        recorder.enter(FORWARD)
        recorder.leave(FORWARD)
    device_step(recorder, device)
    recorder.end_step()
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
    recorder.end_step()
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
    recorder.end_step()
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


def test_phases_must_be_marked_sometimes(path: Path) -> None:
    """A period of no steps is a mistake."""
    with pytest.raises(ValueError, match="phase_every is 0"):
        Recorder(path, phase_every=0)
