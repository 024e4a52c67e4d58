"""Samples to averages over stretches of time, for instance the blocks of one row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from perfkit.errors import DamagedFile, LaterVersion
from perfkit.runfolder import JsonLines
from perfkit.telemetry import nvml, sampler

NAMES = (*sampler.HOST_NAMES, *nvml.NAMES)
"""Every value that samples may have."""


@dataclass(frozen=True, kw_only=True)
class Averages:
    """Means of the samples that fell into the windows; a None has its reason code under the same name."""

    values: dict[str, float | None]
    unavailable: dict[str, str]
    samples: int
    """How many samples fell into the windows."""


def average(
    samples_path: Path,
    windows: Sequence[tuple[int, int]],
    *,
    gpu_uuid: str | None = None,
) -> Averages:
    """Average what was sampled within the windows.

    A sample counts when it was read wholly inside a window. The values look back a little: NVML's
    utilisation up to a second, the CPU's busy share to the sample before. Over windows shorter than
    that they say something of the time before, too.

    Args:
        samples_path: a file of the sampler; a missing one has no samples.
        windows: (start, end) pairs of `perf_counter_ns`, ends included.
        gpu_uuid: the one GPU to average, with its prefix or without; None takes the mean of all.

    Raises:
        DamagedFile: the file holds something else than samples.
        LaterVersion: a later perfkit wrote it.
    """
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    reasons: dict[str, str] = {}
    count = 0
    for item in JsonLines(samples_path).read():
        try:
            if "format" in item:
                reasons |= _reasons_of_head(item, samples_path)
                continue
            if not any(start <= item["t_ns"] and item["t_end_ns"] <= end for start, end in windows):
                continue
            count += 1
            for name, value, reason in _values(item, gpu_uuid):
                if value is not None:
                    found[name].append(value)
                elif reason is not None:
                    reasons[name] = reason
        except (AttributeError, KeyError, TypeError) as error:
            raise DamagedFile(
                f"{samples_path} holds a line that is no sample: {error!r}"
            ) from error
    means = {name: fmean(values) if values else None for name, values in found.items()}
    return Averages(
        values=means,
        unavailable={n: reasons.get(n, "no_data") for n, mean in means.items() if mean is None},
        samples=count,
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
