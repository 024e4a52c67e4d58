"""What the gauge of the GPU tells of a block, on a GPU that does what a test says."""

from __future__ import annotations

import os

import pynvml
import pytest
from fake_nvml import UUID, FakeNvml

from perfkit.telemetry.gpu import CLOCK_RATIO, FOREIGN_SHARE, SLOWED_SHARE, GpuGauge, GpuUse
from perfkit.telemetry.nvml import Nvml

OURS, NEIGHBOUR, STRANGER = 100, 101, 900
GROUPS = (OURS, NEIGHBOUR)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """A GPU; every process leads a group of its own, but 102, which is of our first one."""
    monkeypatch.setattr(os, "getpgid", lambda pid: OURS if pid == 102 else pid)
    return FakeNvml()


def gauge(fake: FakeNvml) -> GpuGauge:
    made = GpuGauge(lambda: Nvml(fake))
    made.watch(UUID)
    return made


def test_without_a_gpu_nothing_is_told() -> None:
    """Nor is NVML opened; nothing known is no disturbance."""

    def opened() -> Nvml:
        raise AssertionError("NVML was opened")

    watching = GpuGauge(opened)
    watching.begin()
    use = watching.end(GROUPS)
    assert use == GpuUse()
    assert not use.shared() and not use.throttled(None)


def test_a_quiet_block(fake: FakeNvml) -> None:
    """Its clock, nothing slowed, and nobody else."""
    watching = gauge(fake)
    fake.slowed_ns[269] = 10**15
    fake.used = [(STRANGER, 5, 90), (OURS, 6, 80)]
    watching.begin()
    fake.used += [(OURS, 7, 90), (102, 8, 70), (NEIGHBOUR, 8, 40)]
    use = watching.end(GROUPS)
    assert use == GpuUse(slowed_share=0.0, sm_clock_hz=1.98e9, foreign_share=0.0)


def test_what_others_used_since_the_block_began(fake: FakeNvml) -> None:
    """The mean of a process's samples, and the sum over processes; what is older is not of the block."""
    watching = gauge(fake)
    fake.used = [(STRANGER, 5, 90), (OURS, 6, 80)]
    watching.begin()
    fake.used += [(OURS, 7, 60), (STRANGER, 7, 20), (STRANGER, 8, 40), (901, 8, 10)]
    use = watching.end(GROUPS)
    assert use.foreign_share == pytest.approx(0.4)
    assert use.shared()


@pytest.mark.parametrize(
    "used", [[], [(STRANGER, 8, 90)]], ids=["nothing told", "numbers of another namespace"]
)
def test_who_is_a_stranger_is_unknown_where_we_are_not_listed(
    fake: FakeNvml, used: list[tuple[int, int, int]]
) -> None:
    """In a container the driver may number processes otherwise: all would look foreign."""
    watching = gauge(fake)
    watching.begin()
    fake.used = [(pid, 2**62 + stamp, share) for pid, stamp, share in used]
    assert watching.end(GROUPS).foreign_share is None


def test_a_slowed_clock(fake: FakeNvml) -> None:
    """The driver counted nearly all of the block as slowed by heat."""
    watching = gauge(fake)
    watching.begin()
    fake.slowed_ns[270] += 10**15
    use = watching.end(GROUPS)
    assert use.slowed_share == 1.0 and use.throttled(None)


def test_an_idle_gpu_has_no_clock_to_judge_by(fake: FakeNvml) -> None:
    """It is low because there was nothing to do."""
    fake.sm_clock_mhz, fake.clock_reasons = 345, pynvml.nvmlClocksEventReasonGpuIdle
    watching = gauge(fake)
    watching.begin()
    assert watching.end(GROUPS).sm_clock_hz is None


@pytest.mark.parametrize("calls", ["nvmlDeviceGetProcessUtilization", "everything"])
def test_what_nvml_does_not_tell_is_missing(calls: str) -> None:
    """And no reason to repeat anything."""
    fake = FakeNvml()
    watching = gauge(fake)
    fake.failing[calls] = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    watching.begin()
    use = watching.end(GROUPS)
    assert use.foreign_share is None and not use.shared() and not use.throttled(1.98e9)


@pytest.mark.parametrize("above", [False, True])
def test_thresholds(above: bool) -> None:
    """Each just below and just above."""
    more = 1e-9 if above else -1e-9
    assert GpuUse(foreign_share=FOREIGN_SHARE + more).shared() is above
    assert GpuUse(slowed_share=SLOWED_SHARE + more).throttled(None) is above
    assert GpuUse(sm_clock_hz=CLOCK_RATIO - more).throttled(1.0) is above
    assert not GpuUse(sm_clock_hz=CLOCK_RATIO / 2).throttled(None)
