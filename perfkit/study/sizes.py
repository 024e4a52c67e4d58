"""The default size of a training on this machine: quick on two cores, no toy on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from perfkit.config import RunConfig
from perfkit.settings import Setting, Value

GPU_BYTES_PER_SAMPLE = 48 * 2**20
"""Activations of the default ConvNeXt at 128 pixels in FP32 are some 24 MiB a sample; twice that with
gradients and workspaces."""
SEATS = 4
"""Processes that may live on the device at once."""
MOST_WORKERS = 16
_ON_A_GPU: dict[str, Value] = {"image_size": 128, "eval_samples": 2048}
"""Settings of workloads that have them, on a GPU."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What sizes are chosen by."""

    device: str
    cores: int
    device_memory_bytes: int | None = None
    num_threads: int | None = None
    """What torch takes by itself; None where it does not say."""

    @classmethod
    def of(cls, device: str, environment: dict[str, Any]) -> Machine:
        """Read it from the survey's environment."""
        return cls(
            device=device,
            cores=int(environment.get("cores_usable") or 1),
            device_memory_bytes=environment.get("device_memory_bytes"),
            num_threads=environment.get("num_threads"),
        )


def base_config(machine: Machine, arch: str, declared: Sequence[Setting] = ()) -> RunConfig:
    """Return the base settings for a machine; the flags then override them.

    Args:
        declared: the workload's own settings.
    """
    own = {setting.name: setting.default for setting in declared}
    untrained = tuple(setting.name for setting in declared if not setting.changes_training)
    config = RunConfig(
        arch=arch, devices=(machine.device,), workload=own, workload_untrained=untrained
    )
    if machine.device.startswith("cuda"):
        chosen = {name: value for name, value in _ON_A_GPU.items() if name in own}
        batch = gpu_batch(machine.device_memory_bytes)
        return replace(
            config,
            batch_size=batch,
            lr_batch_size=batch,
            num_samples=32768,
            num_workers=max(1, min(MOST_WORKERS, machine.cores - 1)),
            pin_memory=True,
            workload={**own, **chosen},
            workload_chosen=tuple(chosen),
            # a script of one's own leaves them at torch's default, which knows nothing of a group's limit
            num_threads=max(1, min(machine.num_threads or machine.cores, machine.cores)),
        )
    # training and loading share the cores: without room for both every figure would be contention
    workers = 1 if machine.cores < 4 else min(4, machine.cores // 4)
    return replace(
        config,
        num_workers=workers,
        num_threads=max(1, machine.cores - workers),
        # chance would decide otherwise whether a process has its memory zeroed anew at every step
        malloc="keep",
    )


def chosen(machine: Machine, config: RunConfig) -> str:
    """Say in one sentence what was chosen, and for what."""
    side = config.count_of("image_size")
    images = f"{side}-pixel images, " if side else ""
    where = "a GPU" if machine.device.startswith("cuda") else f"{machine.cores} cores"
    return (
        f"sized for {where}: {images}batch {config.batch_size},"
        f" {config.num_samples} samples an epoch, {config.num_workers} loader"
        f" worker{'' if config.num_workers == 1 else 's'}, {config.num_threads} torch"
        f" thread{'' if config.num_threads == 1 else 's'}"
        + (", freed memory kept (malloc=keep)" if config.malloc == "keep" else "")
    )


def gpu_batch(memory_bytes: int | None) -> int:
    batch = 256
    share = (memory_bytes or 16 * 2**30) / SEATS
    while batch > 16 and batch * GPU_BYTES_PER_SAMPLE > share:
        batch //= 2
    return batch
