"""What stands for `pynvml` in tests: it takes the place of the hardware that a test machine lacks, no more.

Exceptions and constants are those of the real nvidia-ml-py; the numbers are invented.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml

UUID = "GPU-11111111-2222-3333-4444-555555555555"
MIG_UUID = "MIG-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
VALUES = {
    "gpu_util_share": 0.87,
    "gpu_memory_used_bytes": 9_000_000_000,
    "gpu_memory_total_bytes": 80_000_000_000,
    "gpu_memory_reserved_bytes": 600_000_000,
    "sm_clock_hz": 1.98e9,
    "sm_clock_max_hz": 1.98e9,
    "power_watts": 350.5,
    "thermal_slowdown_share": 0.0,
    "power_brake_share": 0.0,
    "temperature_celsius": 41,
}
"""What the fake GPU tells, in our units."""


class FakeNvml:
    """NVML with one GPU and one MIG instance, in NVML's own units.

    Args:
        failing: by the name of a function, the exception it raises; it may be changed at any time.
    """

    nvmlMemory_v2 = pynvml.nvmlMemory_v2
    NVML_CLOCK_SM = pynvml.NVML_CLOCK_SM
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU
    nvmlClocksEventReasonGpuIdle = pynvml.nvmlClocksEventReasonGpuIdle
    NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN = 269
    NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN = 270
    NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN = 271

    def __init__(self, **failing: Exception) -> None:
        self.failing = failing
        self.power_milliwatts = 350_500
        self.slowed_ns = {269: 0, 270: 0, 271: 0}
        self.sm_clock_mhz = 1980
        self.clock_reasons = 0
        self.used: list[tuple[int, int, int]] = []
        """What processes used: (process id, time stamp in microseconds, per cent)."""

    def nvmlInit(self) -> None:
        self._may_fail("nvmlInit")

    def nvmlSystemGetDriverVersion(self) -> str:
        self._may_fail("nvmlSystemGetDriverVersion")
        return "570.00"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        self._may_fail("nvmlDeviceGetHandleByUUID")
        if uuid not in (UUID, MIG_UUID):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return uuid

    def nvmlDeviceGetName(self, handle: str) -> str:
        self._may_fail("nvmlDeviceGetName")
        return "Fake GPU"

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> Any:
        self._may_fail("nvmlDeviceGetUtilizationRates")
        return SimpleNamespace(gpu=87, memory=30)

    def nvmlDeviceGetMemoryInfo(self, handle: str, version: int) -> Any:
        self._may_fail("nvmlDeviceGetMemoryInfo")
        assert version == self.nvmlMemory_v2, "v1 counts the driver's reserve as used"
        used, total, reserved = (
            VALUES[f"gpu_memory_{n}_bytes"] for n in ("used", "total", "reserved")
        )
        return SimpleNamespace(used=used, total=total, reserved=reserved)

    def nvmlDeviceGetClockInfo(self, handle: str, clock: int) -> int:
        self._may_fail("nvmlDeviceGetClockInfo")
        assert clock == self.NVML_CLOCK_SM
        return self.sm_clock_mhz

    def nvmlDeviceGetMaxClockInfo(self, handle: str, clock: int) -> int:
        self._may_fail("nvmlDeviceGetMaxClockInfo")
        assert clock == self.NVML_CLOCK_SM
        return 1980

    def nvmlDeviceGetFieldValues(self, handle: str, fields: list[int]) -> list[Any]:
        self._may_fail("nvmlDeviceGetFieldValues")
        return [
            SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(ullVal=self.slowed_ns[field]))
            if field in self.slowed_ns
            else SimpleNamespace(nvmlReturn=pynvml.NVML_ERROR_NOT_SUPPORTED)
            for field in fields
        ]

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        self._may_fail("nvmlDeviceGetPowerUsage")
        return self.power_milliwatts

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:
        self._may_fail("nvmlDeviceGetTemperature")
        assert sensor == self.NVML_TEMPERATURE_GPU
        return 41

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: str) -> int:
        self._may_fail("nvmlDeviceGetCurrentClocksEventReasons")
        return self.clock_reasons

    def nvmlDeviceGetProcessUtilization(self, handle: str, seen_us: int) -> list[Any]:
        self._may_fail("nvmlDeviceGetProcessUtilization")
        found = [
            SimpleNamespace(pid=pid, timeStamp=stamp, smUtil=used)
            for pid, stamp, used in self.used
            if stamp > seen_us
        ]
        if not found:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return found

    def _may_fail(self, name: str) -> None:
        error = self.failing.get(name) or self.failing.get("everything")
        if error is not None:
            raise error
