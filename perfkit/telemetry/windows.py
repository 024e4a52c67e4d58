"""Samples to averages over stretches of time, for instance the blocks of one row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from perfkit.errors import DamagedFile, LaterVersion
from perfkit.jsonlines import JsonLines
from perfkit.telemetry import nvml, sampler

NAMES = (*sampler.HOST_NAMES, *nvml.NAMES)
"""Every value that samples may have."""
LOOKS_BACK_NS = {"gpu_util_share": 1_000_000_000, "power_watts": 1_000_000_000}
"""How far back a value looks at most. NVML: utilisation is of the driver's last period, 1/6 to 1 s
(nvml.h, nvmlUtilization_t); power is averaged over a second since Ampere (nvmlDeviceGetPowerUsage)."""
TOO_SHORT = "window_too_short"
"""Reason code: no window is as long as the value looks back."""


@dataclass(frozen=True, kw_only=True)
class WindowMeans:
    """Means of the samples that fell into the windows; a None has its reason code under the same name."""

    values: dict[str, float | None]
    unavailable: dict[str, str]
    samples: int
    """How many samples fell into the windows."""


def average(
    samples_paths: Sequence[Path],
    windows: Sequence[tuple[int, int]],
    *,
    gpu_uuid: str | None = None,
) -> WindowMeans:
    """Average what was sampled within the windows.

    A sample counts when it was read wholly inside a window. What looks back further than the sample before
    (`LOOKS_BACK_NS`) counts only from so long after a window's begin on: until then it says something of the
    time before. The CPU's busy share and the shares of slowdowns look back to the sample before.

    Args:
        samples_paths: files of the sampler; a missing one has no samples.
        windows: (start, end) pairs of `perf_counter_ns`, ends included.
        gpu_uuid: the one GPU to average, with its prefix or without; None takes the mean of all.

    Raises:
        DamagedFile: the file holds something else than samples.
        LaterVersion: a later perfkit wrote it.
    """
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    reasons: dict[str, str] = {}
    count = 0
    for path in samples_paths:
        for item in JsonLines(path).read():
            try:
                if "format" in item:
                    reasons |= _reasons_of_head(item, path)
                    continue
                since_ns = _inside_ns(item, windows)
                if since_ns is None:
                    continue
                count += 1
                for name, value, reason in _values(item, gpu_uuid):
                    if reason is not None:
                        reasons[name] = reason
                    if value is not None and since_ns < LOOKS_BACK_NS.get(name, 0):
                        reasons[name] = TOO_SHORT
                    elif value is not None:
                        found[name].append(value)
            except (AttributeError, KeyError, TypeError) as error:
                raise DamagedFile(f"{path} holds a line that is no sample: {error!r}") from error
    means = {name: fmean(values) if values else None for name, values in found.items()}
    return WindowMeans(
        values=means,
        unavailable={n: reasons.get(n, "no_data") for n, mean in means.items() if mean is None},
        samples=count,
    )


def _inside_ns(item: dict[str, Any], windows: Sequence[tuple[int, int]]) -> int | None:
    """Return how long after a window's begin a sample was read; None where that was in no window."""
    t_ns, end_ns = item["t_ns"], item["t_end_ns"]
    return max(
        (t_ns - start for start, end in windows if start <= t_ns and end_ns <= end), default=None
    )


def _reasons_of_head(head: dict[str, Any], path: Path) -> dict[str, str]:
    """What is known of the GPU's values before any sample: no GPU was asked for, or NVML is not there."""
    if head["format"] > sampler.FORMAT:
        raise LaterVersion(
            f"{path} has sample format {head['format']}; this perfkit reads up to {sampler.FORMAT}",
            hint="read it with the perfkit that wrote it, or a later one",
        )
    if not head["gpus"]:
        return dict.fromkeys(nvml.NAMES, "not_applicable")
    if "nvml" in head["unavailable"]:
        return dict.fromkeys(nvml.NAMES, head["unavailable"]["nvml"])
    return {}


def _values(
    item: dict[str, Any], gpu_uuid: str | None
) -> Iterator[tuple[str, float | None, str | None]]:
    unavailable = item["unavailable"]
    for name in sampler.HOST_NAMES:
        yield name, item["host"].get(name), unavailable.get(name)
    for gpu in item["gpus"]:
        if gpu_uuid is not None and nvml.bare_uuid(gpu["uuid"]) != nvml.bare_uuid(gpu_uuid):
            continue
        for name in nvml.NAMES:
            yield name, gpu.get(name), unavailable.get(f"{gpu['uuid']}.{name}")
