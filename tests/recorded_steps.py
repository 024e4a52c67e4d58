"""Steps that a recorder is told of, on a clock set by hand or on the simulated device, and read back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from simulated_device import SimulatedDevice

from perfkit.records import BACKWARD, FORWARD, H2D, OPTIMIZER, STEPS, StepRecord
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


class Clock:
    """A host clock that is set by hand."""

    def __init__(self) -> None:
        self.now_ns = 1_000

    def __call__(self) -> int:
        return self.now_ns

    def let(self, duration_ns: int, call: Callable[[], None]) -> None:
        self.now_ns += duration_ns
        call()


def host_step(recorder: Recorder, clock: Clock, depth: int = -1, ready: int = -1) -> None:
    """One step of 100 ns: waits 10, phases 20, 30, 5, 15, and 20 of the rest."""
    recorder.before_next(depth, ready)
    clock.let(10, lambda: recorder.after_next(8))
    for phase, duration_ns in ((H2D, 20), (FORWARD, 30), (BACKWARD, 5), (OPTIMIZER, 15)):
        recorder.enter(phase)
        clock.now_ns += duration_ns
        recorder.leave(phase)
    clock.now_ns += 20


@contextmanager
def one_step(recorder: Recorder) -> Iterator[None]:
    """The only step of a recording, over what is done inside."""
    recorder.before_next()
    recorder.after_next(1)
    yield
    recorder.end_step()
    recorder.close()


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
