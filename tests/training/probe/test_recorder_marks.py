"""The recorder's marks on a device: what they tell, what costs a step its fields, and that they are few."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from recorded_steps import device_step, has_no_device_fields, read, seconds
from simulated_device import Mark, SimulatedDevice

from perfkit.records import (
    BACKWARD,
    FORWARD,
    H2D,
)
from perfkit.training.probe import outfiles
from perfkit.training.probe import steps as steps_module
from perfkit.training.probe.recorder import Recorder


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


def test_phases_must_be_marked_sometimes(path: Path) -> None:
    """A period of no steps is a mistake."""
    with pytest.raises(ValueError, match="phase_every is 0"):
        Recorder(path, phase_every=0)
