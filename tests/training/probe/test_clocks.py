"""CUDA's events behind the device's interface, on a torch without a GPU and on one with."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from simulated_device import SimulatedDevice

from perfkit.training.probe.clocks import CudaDevice, Device, Timeline


class FakeEvent:
    """A timing event that is reached when the test says so."""

    made = 0

    def __init__(self, enable_timing: bool = False) -> None:
        assert enable_timing
        FakeEvent.made += 1
        self.stream: Any = None
        self.at_ms: float | None = None

    def record(self, stream: Any) -> None:
        self.stream = stream

    def query(self) -> bool:
        return self.at_ms is not None

    def elapsed_time(self, end: FakeEvent) -> float:
        if self.at_ms is None or end.at_ms is None:
            raise RuntimeError("device not ready")
        if end.at_ms < 0:
            raise RuntimeError("illegal memory access")
        return end.at_ms - self.at_ms


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """torch.cuda without a GPU; `capturing` is set by the test."""
    state = SimpleNamespace(capturing=False)
    monkeypatch.setattr(FakeEvent, "made", 0)
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: state.capturing)
    return state


def test_a_mark_is_a_timing_event_on_the_device_s_current_stream(cuda: SimpleNamespace) -> None:
    """Not on that of whichever device is current."""
    device: Device = CudaDevice("cuda:1")
    mark = device.record()
    assert mark is not None
    assert mark.stream == "stream of cuda:1"
    assert not device.done(mark)
    mark.at_ms = 5.0
    assert device.done(mark)


def test_elapsed_is_in_seconds(cuda: SimpleNamespace) -> None:
    """CUDA tells milliseconds."""
    device = CudaDevice("cuda")
    first, second = FakeEvent(enable_timing=True), FakeEvent(enable_timing=True)
    first.at_ms, second.at_ms = 10.0, 12.5
    assert device.elapsed_s(first, second) == 0.0025


def test_events_are_used_again(cuda: SimpleNamespace) -> None:
    """A mark given back is the next one put."""
    device = CudaDevice("cuda")
    for _ in range(10):
        mark = device.record()
        device.recycle(mark)
    assert FakeEvent.made == 1


def test_nothing_is_put_or_asked_while_a_graph_is_captured(cuda: SimpleNamespace) -> None:
    """Either would spoil the graph."""
    device = CudaDevice("cuda")
    mark = device.record()
    assert mark is not None
    mark.at_ms = 1.0
    cuda.capturing = True
    assert device.record() is None
    assert not device.done(mark)
    assert FakeEvent.made == 1


def test_an_interval_to_an_event_not_reached_is_unknown(cuda: SimpleNamespace) -> None:
    """It lies on another stream, which nothing made wait."""
    first, second = FakeEvent(enable_timing=True), FakeEvent(enable_timing=True)
    first.at_ms = 1.0
    assert math.isnan(CudaDevice("cuda").elapsed_s(first, second))


def test_an_error_of_the_device_is_not_hidden(cuda: SimpleNamespace) -> None:
    """Only an event that is not reached has an unknown interval."""
    first, second = FakeEvent(enable_timing=True), FakeEvent(enable_timing=True)
    first.at_ms, second.at_ms = 1.0, -1.0
    with pytest.raises(RuntimeError, match="illegal memory access"):
        CudaDevice("cuda").elapsed_s(first, second)


def test_the_host_s_clock_is_perf_counter(cuda: SimpleNamespace) -> None:
    """The same clock as everywhere else."""
    before = time.perf_counter_ns()
    assert before <= CudaDevice("cuda").host_ns() <= time.perf_counter_ns()


def test_a_timeline_carries_on_from_the_last_mark() -> None:
    """Device time is host time plus what the device says has gone since."""
    device = SimulatedDevice(launch_ns=0, epoch_ns=10**15)
    timeline = Timeline(device)
    start = device.record()
    device.launch(2_000_000)
    end = device.record()
    device.synchronize()
    assert start is not None and end is not None
    assert timeline.at_ns(start, earliest_ns=50) == 50
    timeline.move_to(start, 1_000)
    assert timeline.at_ns(start, earliest_ns=0) == 1_000
    assert timeline.at_ns(end, earliest_ns=0) == 2_001_000
    assert timeline.at_ns(end, earliest_ns=3_000_000) == 3_000_000


def test_a_timeline_gives_its_mark_back_once_it_moves_on() -> None:
    """And only then."""
    device = SimulatedDevice()
    timeline = Timeline(device)
    first, second = device.record(), device.record()
    assert first is not None and second is not None
    timeline.move_to(first, 0)
    timeline.move_to(first, 1)
    assert not first.given_back
    timeline.move_to(second, 2)
    assert first.given_back
    assert not second.given_back


def test_a_timeline_starts_anew_where_an_interval_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The earliest possible time is all that is left."""
    device = SimulatedDevice()
    timeline = Timeline(device)
    first, second = device.record(), device.record()
    timeline.move_to(first, 0)
    monkeypatch.setattr(device, "elapsed_s", lambda first, second: math.nan)
    assert timeline.at_ns(second, earliest_ns=77) == 77


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_device_times_its_own_work() -> None:
    """Marks round a matrix product are reached in order and lie apart."""
    device = CudaDevice("cuda")
    matrix = torch.ones(2048, 2048, device="cuda")
    first = device.record()
    for _ in range(10):
        matrix = matrix @ matrix
    second = device.record()
    torch.cuda.synchronize()
    assert device.done(first) and device.done(second)
    assert 0.0 < device.elapsed_s(first, second) < 10.0
