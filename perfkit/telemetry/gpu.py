"""The gauge of the GPU round a block: whether it slowed itself down, and what others used of it meanwhile.

It reads NVML before and after, and never while a block runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass

from perfkit.telemetry import nvml
from perfkit.telemetry.nvml import Gpu, Nvml

SLOWED_SHARE = 0.05
"""A block is throttled if the driver held the clock down, for heat or a power brake, for more of it: the two
halves of a steady block may differ by as much."""
CLOCK_RATIO = 0.75
"""… or if its clock at the end is below this part of the highest that the same process ended a block with:
NVBench's threshold."""
FOREIGN_SHARE = 0.05
"""A block is shared if other processes' kernels ran in more of it; a desktop draws its windows in less."""


@dataclass(frozen=True, kw_only=True)
class GpuUse:
    """What was seen of a block; None is what NVML did not tell."""

    slowed_share: float | None = None
    """Part of the time that the driver held the clock down, the larger of its two causes."""
    sm_clock_hz: float | None = None
    """At the end, and None where the GPU had nothing to do by then: its clock says nothing of the block."""
    foreign_share: float | None = None
    """Part of the time in which kernels of others ran, summed over their processes."""

    def shared(self) -> bool:
        """Whether others can have slowed the block."""
        return (self.foreign_share or 0.0) > FOREIGN_SHARE

    def throttled(self, usual_clock_hz: float | None) -> bool:
        """Whether the GPU slowed itself down.

        Args:
            usual_clock_hz: the highest clock at the end of the same process's blocks; None is not known.
        """
        slow = bool(
            self.sm_clock_hz and usual_clock_hz and self.sm_clock_hz < CLOCK_RATIO * usual_clock_hz
        )
        return slow or (self.slowed_share or 0.0) > SLOWED_SHARE


class GpuGauge:
    """Looks at one GPU before and after a block; where there is none all that it tells is None.

    Args:
        open_nvml: opens NVML when a GPU is named.
    """

    def __init__(self, open_nvml: Callable[[], Nvml] = Nvml) -> None:
        self._open = open_nvml
        self._gpu: Gpu | None = None
        self._seen_us = 0

    def watch(self, uuid: str) -> None:
        """Look at this GPU from now on."""
        if self._gpu is None:
            self._gpu = self._open().gpu(uuid)

    def begin(self) -> None:
        """Look before a block."""
        if self._gpu is not None:
            self._gpu.read()
            self._seen_us = self._gpu.last_use_us()

    def end(self, groups: Collection[int]) -> GpuUse:
        """Look after a block.

        Args:
            groups: ids of all process groups that are ours: also one that is paused may have used the GPU
                within NVML's last period.
        """
        if self._gpu is None:
            return GpuUse()
        values = self._gpu.read().values
        slowed = [share for name in nvml.SLOWED if (share := values[name]) is not None]
        return GpuUse(
            slowed_share=max(slowed, default=None),
            sm_clock_hz=None if self._gpu.idle() else values["sm_clock_hz"],
            foreign_share=self._foreign_share(groups),
        )

    def _foreign_share(self, groups: Collection[int]) -> float | None:
        assert self._gpu is not None
        used = self._gpu.used_since(self._seen_us)
        ours = {pid for pid in used if _group(pid) in groups}
        # in a container the driver may tell other numbers than ours: who is a stranger is not known then
        if not ours:
            return None
        return sum(share for pid, share in used.items() if pid not in ours)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except (AttributeError, OSError):
        return None
