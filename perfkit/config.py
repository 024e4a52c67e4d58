"""RunConfig: everything one training process needs to know, in one frozen, validated, storable value.

It crosses the process boundary as JSON (`perfkit.codec`) in the run folder's `config.json`. What only one
workload has, its own settings, lies in `workload`: that workload declares them, each as a `Setting`.

Format history:
    1  Every training had `data`, `eval_samples`, `image_size`, `base_channels`, `num_blocks`, `metrics_every`
       and `viz_every`.
    2  They are settings of the built-in workloads and lie in `workload`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from perfkit.errors import BadValue
from perfkit.settings import Value

Parallel = Literal["none", "dp", "ddp"]
Malloc = Literal["default", "keep"]
_FIRST_FORMAT: Mapping[str, Value] = {
    "data": "jpeg",
    "eval_samples": 256,
    "image_size": 32,
    "base_channels": 64,
    "num_blocks": 4,
    "metrics_every": 10,
    "viz_every": 50,
}
"""Fields of the first format that are settings of a workload now, with their defaults of then."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The settings of one training process; a bad one is a `BadValue`, which names its field."""

    arch: str
    """Name of the workload: a file in `training/workloads/` or in a `PERFKIT_PATH` folder."""
    variants: tuple[tuple[str, str | None], ...] = (("fp32", None),)
    """(name, value) pairs in canonical order; the player applies them in their stages' order."""
    devices: tuple[str, ...] = ("cpu",)
    """Torch devices of this process group, e.g. `("cuda:0",)`."""
    parallel: Parallel = "none"
    batch_size: int = 16
    """Samples per step and device."""
    num_samples: int = 2048
    """Training samples per epoch."""
    accumulate: int = 1
    """Batches whose mean gradient makes one update."""
    num_workers: int = 0
    """Loader worker processes; 0 loads in the training process."""
    prefetch_factor: int = 2
    """Batches each worker keeps ready; ignored without workers."""
    pin_memory: bool = False
    persistent_workers: bool = True
    """Keep workers from one epoch to the next; ignored without workers."""
    learning_rate: float = 1e-3
    lr_batch_size: int = 16
    """The batch size that `learning_rate` was chosen for; `scale_lr` scales linearly from it."""
    epochs: int = 100
    """Epochs that one-time costs (compile, first batch) are spread over."""
    num_threads: int = 1
    """Torch's intra-operator threads in the training process."""
    malloc: Malloc = "default"
    """What glibc's allocator does with freed host memory: `keep` it, or give much of it back (`default`)."""
    seed: int = 0
    memory_limit_bytes: int | None = None
    """What the process may use, of the device's memory or of the host's; None is all there is."""
    cache_dir: str = ""
    """Where generated data lives, an absolute path."""
    workload: dict[str, Value] = field(default_factory=dict, hash=False)
    """The workload's own settings by name, as it declares them (`SETTINGS` in its file)."""
    workload_chosen: tuple[str, ...] = ()
    """Names in `workload` that a flag or the machine chose: a command that makes this training names them."""
    workload_untrained: tuple[str, ...] = ()
    """Names in `workload` of what weights and losses do not depend on, as the workload says."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "lr_batch_size", "num_samples", "accumulate"):
            _at_least(self, name, 1)
        for name in ("prefetch_factor", "epochs", "num_threads"):
            _at_least(self, name, 1)
        if self.memory_limit_bytes is not None:
            _at_least(self, "memory_limit_bytes", 1)
        for name in ("num_workers", "seed"):
            _at_least(self, name, 0)
        if not 0 < self.learning_rate < math.inf:
            problem = f"is {self.learning_rate}: it should be above 0, and finite"
            raise BadValue("learning_rate", problem)
        if not self.devices:
            raise BadValue("devices", "is empty: name at least one")
        if self.parallel not in ("none", "dp", "ddp"):
            raise BadValue("parallel", f"is {self.parallel!r}: it should be none, dp or ddp")
        if self.malloc not in ("default", "keep"):
            raise BadValue("malloc", f"is {self.malloc!r}: it should be default or keep")

    @classmethod
    def of_earlier_format(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return stored data in this format, whichever it was written in (`perfkit.codec` asks)."""
        own = {name: data[name] for name in _FIRST_FORMAT if name in data}
        if "workload" in data or not own:
            return data
        chosen = [name for name, value in own.items() if value != _FIRST_FORMAT[name]]
        return {**data, "workload": own, "workload_chosen": chosen}

    @property
    def device(self) -> str:
        """The first (for one process the only) device."""
        return self.devices[0]

    def count_of(self, name: str) -> int:
        """A whole-number setting of the workload's own; 0 where it has none of that name."""
        value = self.workload.get(name, 0)
        return value if isinstance(value, int) else 0

    def whole_updates(self, steps: int) -> int:
        """Return so many steps, or as many more as make the last update whole (`accumulate`)."""
        return math.ceil(steps / self.accumulate) * self.accumulate

    def text_of(self, name: str) -> str:
        """A text setting of the workload's own; empty where it has none of that name."""
        value = self.workload.get(name, "")
        return value if isinstance(value, str) else ""

    @property
    def queue_capacity(self) -> int:
        """Batches that the loader's workers may have ready at once."""
        return self.num_workers * self.prefetch_factor

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self.num_samples // self.batch_size

    @property
    def partial_batch(self) -> int:
        """Samples in the last, partial batch of an epoch; 0 when there is none."""
        return self.num_samples % self.batch_size


def _at_least(config: RunConfig, name: str, minimum: int) -> None:
    value = getattr(config, name)
    if value < minimum:
        raise BadValue(name, f"is {value}: it should be at least {minimum}")
