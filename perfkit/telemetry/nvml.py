"""What NVML tells of one GPU, by its UUID: utilisation, memory, SM clock, power, temperature, slowdowns.

NVML's numbering is not CUDA's, so a GPU is only ever named by its UUID. One failing call costs the
values of that call and nothing else. `pynvml` (package nvidia-ml-py) is imported when NVML is opened.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from perfkit.telemetry.reading import Problem, Reading

_CODES = {
    3: "not_supported",
    13: "not_supported",  # function not found: an older driver
    25: "not_supported",  # argument version mismatch: an older driver
    4: "no_permission",
    1: "no_driver",  # uninitialised
    9: "no_driver",  # driver not loaded
    12: "no_driver",  # library not found
    18: "no_driver",  # the library and the kernel module are of different versions
    6: "no_data",  # not found
    21: "no_data",
    15: "gpu_lost",
    16: "gpu_lost",  # reset required
    28: "gpu_lost",  # GPU not found
}
"""NVML's return codes (nvml.h, nvmlReturn_t) as reason codes; every other one is `error`."""

_NOT_AVAILABLE = frozenset({2**32 - 1, 2**64 - 1})
"""NVML_VALUE_NOT_AVAILABLE in both widths: a success that says nothing."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One call of NVML and the values it gives."""

    names: tuple[str, ...]
    scale: float
    """What turns NVML's unit into ours."""
    read: Callable[[Any, Any], tuple[float, ...]]
    """From the pynvml module and a device handle to NVML's own numbers, one per name."""


def _memory(nvml: Any, handle: Any) -> tuple[float, ...]:
    # v2 keeps the driver's reserve apart; v1 counts it as used, which is another number
    info = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    return info.used, info.total, info.reserved


METRICS = (
    # per cent of the driver's last period (1/6 to 1 s) in which at least one kernel ran
    Metric(
        names=("gpu_util_share",),
        scale=0.01,
        read=lambda nvml, handle: (nvml.nvmlDeviceGetUtilizationRates(handle).gpu,),
    ),
    Metric(
        names=("gpu_memory_used_bytes", "gpu_memory_total_bytes", "gpu_memory_reserved_bytes"),
        scale=1,
        read=_memory,
    ),
    # NVML: MHz
    Metric(
        names=("sm_clock_hz",),
        scale=1e6,
        read=lambda nvml, handle: (nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),),
    ),
    Metric(
        names=("sm_clock_max_hz",),
        scale=1e6,
        read=lambda nvml, handle: (nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM),),
    ),
    # NVML: mW, averaged by the board over about a second since Ampere
    Metric(
        names=("power_watts",),
        scale=1e-3,
        read=lambda nvml, handle: (nvml.nvmlDeviceGetPowerUsage(handle),),
    ),
    Metric(
        names=("temperature_celsius",),
        scale=1,
        read=lambda nvml, handle: (
            nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        ),
    ),
)
SLOWED = {
    "thermal_slowdown_share": (
        "NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN",
        "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN",
    ),
    "power_brake_share": ("NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN",),
}
"""Counters of the driver, nanoseconds in which it held the clock down; of several the largest counts."""
NAMES = (*(name for metric in METRICS for name in metric.names), *SLOWED)
"""Every value of a GPU. `gpu_util_share` is time with at least one kernel running, not how full it was."""


class Gpu:
    """One GPU, or why it cannot be read."""

    def __init__(self, nvml: Any, uuid: str, handle: Any, problem: Problem | None) -> None:
        self.uuid = uuid
        self.problem = problem
        self._nvml = nvml
        self._handle = handle
        self._slowed: dict[str, tuple[int, int]] = {}
        """By value, when its counter was read last, and what it said; nanoseconds."""
        if problem is None:
            for name, counters in SLOWED.items():
                self._read_slowed(name, counters, Reading())

    @property
    def name(self) -> str | None:
        """The model of the GPU as NVML names it."""
        if self.problem is not None:
            return None
        try:
            return str(self._nvml.nvmlDeviceGetName(self._handle))
        except Exception:
            return None

    def read(self) -> Reading:
        """Read every value once; a value that cannot be read is None with a reason code."""
        if self.problem is not None:
            return Reading(dict.fromkeys(NAMES), dict.fromkeys(NAMES, self.problem.code))
        reading = Reading()
        for metric in METRICS:
            try:
                raw = metric.read(self._nvml, self._handle)
            except Exception as error:
                reading.values.update(dict.fromkeys(metric.names))
                reading.unavailable.update(dict.fromkeys(metric.names, problem_of(error).code))
                continue
            for name, value in zip(metric.names, raw, strict=True):
                if value in _NOT_AVAILABLE:
                    reading.values[name] = None
                    reading.unavailable[name] = "not_supported"
                else:
                    reading.values[name] = value * metric.scale
        for name, counters in SLOWED.items():
            self._read_slowed(name, counters, reading)
        return reading

    def idle(self) -> bool | None:
        """Whether the clock is as it is because there is nothing to do; None where that is not told."""
        try:
            reasons = self._nvml.nvmlDeviceGetCurrentClocksEventReasons(self._handle)
            return bool(reasons & self._nvml.nvmlClocksEventReasonGpuIdle)
        except Exception:
            return None

    def last_use_us(self) -> int:
        """The time stamp of the newest sample of what processes used, microseconds since 1970."""
        stamps = [sample.timeStamp for sample in self._process_samples(0)]
        return max(stamps, default=int(time.time() * 1e6))

    def used_since(self, seen_us: int) -> dict[int, float]:
        """Return, by process id, the part of the time since that time stamp in which its kernels ran.

        NVML has samples, each over 1/6 to 1 s, of processes that used anything in it; their mean is taken.
        Empty where it does not tell.
        """
        samples = [one for one in self._process_samples(seen_us) if one.timeStamp > seen_us]
        each: dict[int, list[float]] = {}
        for one in samples:
            each.setdefault(int(one.pid), []).append(0.01 * one.smUtil)
        return {pid: fmean(shares) for pid, shares in each.items()}

    def _process_samples(self, seen_us: int) -> list[Any]:
        try:
            return list(self._nvml.nvmlDeviceGetProcessUtilization(self._handle, seen_us))
        except Exception:
            return []

    def _read_slowed(self, name: str, counters: tuple[str, ...], reading: Reading) -> None:
        """Read the part of the time since the last reading that the driver held the clock down."""
        reading.values[name] = None
        try:
            fields = [getattr(self._nvml, counter) for counter in counters]
            told = self._nvml.nvmlDeviceGetFieldValues(self._handle, fields)
            spent_ns = [int(v.value.ullVal) for v in told if v.nvmlReturn == 0]
        except Exception as error:
            reading.unavailable[name] = problem_of(error).code
            return
        if not spent_ns:
            reading.unavailable[name] = "not_supported"
            return
        last, now = self._slowed.get(name), (time.perf_counter_ns(), max(spent_ns))
        self._slowed[name] = now
        if last is None or now[0] <= last[0]:
            reading.unavailable[name] = "no_data"
        else:
            share = (now[1] - last[1]) / (now[0] - last[0])
            reading.values[name] = min(1.0, max(0.0, share))


class Nvml:
    """NVML, opened for the life of the process; never raises.

    Args:
        module: what stands for `pynvml`; None imports it.
    """

    def __init__(self, module: Any | None = None) -> None:
        self.problem: Problem | None = None
        """Why NVML as a whole cannot be used; None when it can."""
        self.driver_version: str | None = None
        self._module: Any = module
        try:
            if self._module is None:
                import pynvml  # type: ignore[import-untyped]

                self._module = pynvml
            self._module.nvmlInit()
        except ImportError:
            self.problem = Problem("error", "the package nvidia-ml-py is not installed")
        except Exception as error:
            self.problem = problem_of(error)
        if self.problem is None:
            with contextlib.suppress(Exception):
                self.driver_version = str(self._module.nvmlSystemGetDriverVersion())

    def gpu(self, uuid: str) -> Gpu:
        """Find a GPU, or a MIG instance, by its UUID, written with its prefix or without (as torch does)."""
        if self.problem is not None:
            return Gpu(self._module, uuid, None, self.problem)
        problem = Problem("no_data", f"NVML knows no GPU {uuid}")
        for candidate in _spellings(uuid):
            try:
                handle = self._module.nvmlDeviceGetHandleByUUID(candidate)
            except Exception as error:
                if getattr(error, "value", None) not in (2, 6):  # invalid argument, not found
                    return Gpu(self._module, uuid, None, problem_of(error))
            else:
                return Gpu(self._module, uuid, handle, None)
        return Gpu(self._module, uuid, None, problem)


def problem_of(error: Exception) -> Problem:
    """Say what an exception of pynvml means.

    `NVMLLibraryMismatchError` is not an `NVMLError`, and a function that this pynvml lacks is an
    AttributeError: both mean that the value is not offered here.
    """
    code = _CODES.get(getattr(error, "value", None) or 0, "error")
    if isinstance(error, AttributeError) or type(error).__name__ == "NVMLLibraryMismatchError":
        code = "not_supported"
    return Problem(code, str(error) or type(error).__name__)


def bare_uuid(uuid: str) -> str:
    """Return a UUID without the prefix that tells a GPU from a MIG instance."""
    return uuid.partition("-")[2] if uuid.startswith(("GPU-", "MIG-")) else uuid


def _spellings(uuid: str) -> tuple[str, ...]:
    return (uuid,) if bare_uuid(uuid) != uuid else (f"GPU-{uuid}", f"MIG-{uuid}")
