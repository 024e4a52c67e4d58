"""The recorder, call by call: what is read back of a step, of its phases and of work between steps."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from recorded_steps import DEVICE_FIELDS, Clock, device_step, host_step, one_step, read, seconds
from simulated_device import SimulatedDevice

from perfkit.records import (
    BACKWARD,
    CHECKPOINT,
    EVALUATION,
    FORWARD,
    H2D,
    OPTIMIZER,
    SPANS,
)
from perfkit.training.probe.recorder import Recorder


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
    assert first.exposed_wait_s == first.data_wait_s
    assert first.lead_s == 0.0
    assert all(math.isnan(getattr(first, name)) for name in DEVICE_FIELDS[2:])
    assert recorder.steps == 2


def test_a_phase_that_is_not_reported_is_missing(path: Path) -> None:
    """Missing is not zero, and what is in no phase is the rest."""
    clock = Clock()
    recorder = Recorder(path, host_ns=clock)
    with one_step(recorder):
        clock.now_ns += 20
        recorder.enter(FORWARD)
        clock.let(30, lambda: recorder.leave(FORWARD))
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
    with one_step(recorder):
        recorder.enter(OPTIMIZER)
        clock.let(10, lambda: recorder.enter(FORWARD))
        clock.let(20, lambda: recorder.leave(FORWARD))
        clock.let(1, lambda: recorder.enter(BACKWARD))
        clock.let(20, lambda: recorder.enter(BACKWARD))
        clock.let(5, lambda: recorder.leave(BACKWARD))
        clock.let(5, lambda: recorder.leave(BACKWARD))
        clock.let(4, lambda: recorder.leave(OPTIMIZER))
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
