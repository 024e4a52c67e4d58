"""NVML's values of one GPU. `fake_nvml` stands for the GPU; a test marked `gpu` asks a real one."""

from __future__ import annotations

import sys
from typing import Any

import pynvml
import pytest
from fake_nvml import MIG_UUID, UUID, VALUES, FakeNvml

from perfkit.telemetry import nvml
from perfkit.telemetry.reading import REASONS

MEMORY = tuple(name for name in nvml.NAMES if "memory" in name)
GPU_LOST = pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)


def test_values_are_in_si_units() -> None:
    """Per cent, MHz and mW become shares, Hz and W; nothing is missing."""
    reading = nvml.Nvml(FakeNvml()).gpu(UUID).read()
    assert reading.values == pytest.approx(VALUES)
    assert set(reading.values) == set(nvml.NAMES)
    assert reading.unavailable == {}


def test_a_slowdown_is_a_part_of_the_time_since_the_last_reading() -> None:
    """The driver counts nanoseconds; of two counters for heat the larger speaks, and none says why."""
    fake = FakeNvml()
    gpu = nvml.Nvml(fake).gpu(UUID)
    fake.slowed_ns[270] += 10**15
    reading = gpu.read()
    assert reading.values["thermal_slowdown_share"] == 1.0
    assert reading.values["power_brake_share"] == 0.0
    del fake.slowed_ns[271]
    reading = gpu.read()
    assert reading.values["thermal_slowdown_share"] == 0.0
    assert reading.unavailable == {"power_brake_share": "not_supported"}


@pytest.mark.parametrize(
    ("function", "names"),
    [
        ("nvmlDeviceGetUtilizationRates", ("gpu_util_share",)),
        ("nvmlDeviceGetMemoryInfo", MEMORY),
        ("nvmlDeviceGetClockInfo", ("sm_clock_hz",)),
        ("nvmlDeviceGetMaxClockInfo", ("sm_clock_max_hz",)),
        ("nvmlDeviceGetFieldValues", tuple(nvml.SLOWED)),
        ("nvmlDeviceGetPowerUsage", ("power_watts",)),
        ("nvmlDeviceGetTemperature", ("temperature_celsius",)),
    ],
)
def test_a_failing_call_costs_its_own_values(function: str, names: tuple[str, ...]) -> None:
    """What the call would have told is None with a reason; everything else is there."""
    fake = FakeNvml(**{function: pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)})
    reading = nvml.Nvml(fake).gpu(UUID).read()
    assert {n for n, value in reading.values.items() if value is None} == set(names)
    assert reading.unavailable == dict.fromkeys(names, "not_supported")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION), "no_permission"),
        (pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED), "no_driver"),
        (pynvml.NVMLError(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH), "no_driver"),
        (pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND), "not_supported"),
        (pynvml.NVMLError(pynvml.NVML_ERROR_NO_DATA), "no_data"),
        (pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN), "error"),
        (GPU_LOST, "gpu_lost"),
        # not an NVMLError, whatever its name says
        (pynvml.NVMLLibraryMismatchError("call the versioned function"), "not_supported"),
        (AttributeError("an older pynvml has no such function"), "not_supported"),
        (ValueError("anything"), "error"),
    ],
)
def test_every_failure_has_its_reason(error: Exception, reason: str) -> None:
    """A reason code that a reader finds in words."""
    reading = nvml.Nvml(FakeNvml(nvmlDeviceGetPowerUsage=error)).gpu(UUID).read()
    assert reading.values["power_watts"] is None
    assert reading.unavailable == {"power_watts": reason}
    assert reason in REASONS


@pytest.mark.parametrize("sentinel", [2**32 - 1, 2**64 - 1])
def test_a_success_that_says_nothing_is_missing(sentinel: int) -> None:
    """NVML answers with all bits set where it has no value: that is no power of 4 MW."""
    fake = FakeNvml()
    fake.power_milliwatts = sentinel
    reading = nvml.Nvml(fake).gpu(UUID).read()
    assert reading.values["power_watts"] is None
    assert reading.unavailable == {"power_watts": "not_supported"}


def test_a_gpu_that_is_lost_may_come_back() -> None:
    """Every reading stands for itself."""
    fake = FakeNvml()
    gpu = nvml.Nvml(fake).gpu(UUID)
    fake.failing["everything"] = GPU_LOST
    lost = gpu.read()
    assert lost.values == dict.fromkeys(nvml.NAMES)
    assert lost.unavailable == dict.fromkeys(nvml.NAMES, "gpu_lost")
    fake.failing.clear()
    assert gpu.read().unavailable == {}


@pytest.mark.parametrize(
    "error",
    [
        pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND),
        pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED),
    ],
)
def test_no_driver(error: Exception) -> None:
    """Without a driver NVML says why, and so does every GPU asked of it."""
    opened = nvml.Nvml(FakeNvml(nvmlInit=error))
    assert opened.problem is not None
    assert opened.problem.code == "no_driver"
    assert opened.driver_version is None
    gpu = opened.gpu(UUID)
    assert gpu.name is None
    assert gpu.read().unavailable == dict.fromkeys(nvml.NAMES, "no_driver")


def test_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing nvidia-ml-py is said by name."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    opened = nvml.Nvml()
    assert opened.problem is not None
    assert "nvidia-ml-py" in opened.problem.detail
    assert opened.gpu(UUID).read().values == dict.fromkeys(nvml.NAMES)


def test_names_and_versions() -> None:
    """The model and the driver are told; where they are not, that alone is missing."""
    opened = nvml.Nvml(FakeNvml())
    assert (opened.driver_version, opened.gpu(UUID).name) == ("570.00", "Fake GPU")
    mute: dict[str, Any] = dict.fromkeys(
        ["nvmlSystemGetDriverVersion", "nvmlDeviceGetName"], GPU_LOST
    )
    opened = nvml.Nvml(FakeNvml(**mute))
    assert (opened.problem, opened.driver_version, opened.gpu(UUID).name) == (None, None, None)
    assert opened.gpu(UUID).read().values == pytest.approx(VALUES)


@pytest.mark.parametrize("uuid", [UUID, MIG_UUID, UUID.removeprefix("GPU-"), MIG_UUID[4:]])
def test_a_uuid_with_or_without_its_prefix(uuid: str) -> None:
    """torch leaves the prefix out, NVML asks for it."""
    gpu = nvml.Nvml(FakeNvml()).gpu(uuid)
    assert gpu.problem is None
    assert gpu.uuid == uuid
    assert nvml.bare_uuid(uuid) in (UUID[4:], MIG_UUID[4:])


def test_an_unknown_gpu() -> None:
    """A UUID that NVML does not know has no data; a lost GPU is lost."""
    unknown = nvml.Nvml(FakeNvml()).gpu("GPU-0")
    assert unknown.problem is not None
    assert (unknown.problem.code, "GPU-0" in unknown.problem.detail) == ("no_data", True)
    lost = nvml.Nvml(FakeNvml(nvmlDeviceGetHandleByUUID=GPU_LOST)).gpu(UUID)
    assert lost.read().unavailable == dict.fromkeys(nvml.NAMES, "gpu_lost")


@pytest.mark.gpu
def test_a_real_gpu() -> None:
    """On real hardware every value is there or has its reason, and lies where it can lie."""
    import torch

    gpu = nvml.Nvml().gpu(str(torch.cuda.get_device_properties(0).uuid))
    assert gpu.problem is None
    reading = gpu.read()
    missing = {name for name, value in reading.values.items() if value is None}
    assert missing == set(reading.unavailable)
    low_high = {
        "gpu_util_share": (0, 1),
        "gpu_memory_total_bytes": (2**30, 2**44),
        "sm_clock_hz": (1e7, 1e10),
        "power_watts": (1, 5000),
        "temperature_celsius": (-20, 120),
    }
    for name in low_high.keys() - missing:
        low, high = low_high[name]
        assert low <= float(reading.values[name] or 0) <= high, name
