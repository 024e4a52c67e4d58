"""Named settings: the thirty-minute case, as far as this machine can hold it.

The case: a ConvNeXt embedding model at batch 1024, 16 workers, prefetch 8, pinned memory, persistent
workers, metrics every 10 epochs and plots every 50, on two GPUs under DataParallel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perfkit.document import Note
from perfkit.errors import UsageError
from perfkit.study.request import TrainingSettings
from perfkit.study.sizes import Machine, gpu_batch

STORY_BATCH = 1024
STORY_WORKERS = 16
CPU_BATCH = 64
"""A step of the built-in ConvNeXt takes some 4 ms a sample on one CPU core: a quarter of a second."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings, the rows they are made for, and what was changed to fit the machine."""

    settings: TrainingSettings
    rows: tuple[tuple[str, str], ...]
    """(workload, variant) pairs; the first is the reference."""
    changed: tuple[str, ...]
    """What was scaled down or dropped, in words."""
    budget_s: float
    """What five or more generations of the rows take where the preset is scaled down furthest."""

    @property
    def note(self) -> Note:
        """Say what was changed."""
        text = f"the preset was changed to fit this machine: {'; '.join(self.changed)}"
        return Note(code="preset_changed", text=text)


def story(machine: Machine) -> Preset:
    """The thirty-minute case and the three steps its guide advises, each on top of the one before.

    Rows: FP32 as it is; mixed precision with half as many workers again; a batch half as large again
    with the learning rate scaled; the lighter network.
    """
    on_gpu = machine.device.startswith("cuda")
    batch = min(STORY_BATCH, gpu_batch(machine.device_memory_bytes)) if on_gpu else CPU_BATCH
    workers = min(STORY_WORKERS, max(1, machine.cores - 1))
    changed = ["one device in place of DataParallel on two"]
    if batch < STORY_BATCH:
        changed.append(f"batch {STORY_BATCH} → {batch}")
    if workers < STORY_WORKERS:
        changed.append(f"{STORY_WORKERS} loader workers → {workers} ({machine.cores} cores)")
    if not on_gpu:
        changed.append("no pinned memory, which serves copies to a GPU")
    more_workers = f"num_workers={max(workers + 1, workers * 3 // 2)}"
    larger = f"batch_size={batch * 3 // 2}+scale_lr=1"
    return Preset(
        settings=TrainingSettings(
            batch_size=batch,
            num_workers=workers,
            prefetch_factor=8,
            pin_memory=on_gpu,
            persistent_workers=True,
        ),
        rows=(
            ("convnext", "fp32"),
            ("convnext", f"amp+{more_workers}"),
            ("convnext", f"amp+{more_workers}+{larger}"),
            ("baseline", f"amp+{more_workers}+{larger}"),
        ),
        changed=tuple(changed),
        budget_s=600.0,
    )


PRESETS: dict[str, Callable[[Machine], Preset]] = {"story": story}
"""By the name that `--preset` takes."""


def preset_of(name: str, machine: Machine) -> Preset:
    """Return a preset, made for the machine.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}", hint=f"one of: {', '.join(sorted(PRESETS))}")
    return PRESETS[name](machine)
