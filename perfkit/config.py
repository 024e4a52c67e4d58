"""RunConfig: everything one training process needs to know, in one frozen, validated, storable value.

It crosses the process boundary as JSON (`perfkit.codec`) in the run folder's `config.json`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Parallel = Literal["none", "dp", "ddp"]
Malloc = Literal["default", "keep"]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The settings of one training process; a bad one is a ValueError that names its field."""

    arch: str
    """Name of the workload: a file in `training/workloads/` or in a `PERFKIT_PATH` folder."""
    variants: tuple[tuple[str, str | None], ...] = (("fp32", None),)
    """(name, value) pairs in canonical order; the player applies them in their stages' order."""
    devices: tuple[str, ...] = ("cpu",)
    """Torch devices of this process group, e.g. `("cuda:0",)`."""
    parallel: Parallel = "none"
    batch_size: int = 16
    """Samples per step and device."""
    image_size: int = 32
    """Side of the square the images are cropped to, pixels."""
    num_samples: int = 2048
    """Training samples per epoch."""
    eval_samples: int = 256
    """Samples of one evaluation."""
    base_channels: int = 64
    """Channels of the first stage; each later stage doubles them."""
    num_blocks: int = 4
    """Blocks per stage."""
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
    metrics_every: int = 10
    """Epochs between separation metrics; 0 never computes them."""
    viz_every: int = 50
    """Epochs between embedding plots; 0 never draws them."""
    epochs: int = 100
    """Epochs that one-time costs (compile, first batch) are spread over."""
    num_threads: int = 1
    """Torch's intra-operator threads in the training process."""
    malloc: Malloc = "default"
    """What glibc's allocator does with freed host memory: `keep` it, or give much of it back (`default`)."""
    seed: int = 0
    data: str = "jpeg"
    """`jpeg` (generated once into the cache), `folder:PATH` (class folders of images) or `memory`
    (generated and already decoded: what training costs when loading costs nothing)."""
    memory_limit_bytes: int | None = None
    """What the process may use, of the device's memory or of the host's; None is all there is."""
    cache_dir: str = ""
    """Where generated data lives, an absolute path."""

    def __post_init__(self) -> None:
        for name in (
            "batch_size",
            "lr_batch_size",
            "image_size",
            "num_samples",
            "eval_samples",
            "base_channels",
        ):
            _at_least(self, name, 1)
        for name in ("num_blocks", "prefetch_factor", "epochs", "num_threads"):
            _at_least(self, name, 1)
        if self.memory_limit_bytes is not None:
            _at_least(self, "memory_limit_bytes", 1)
        for name in ("num_workers", "metrics_every", "viz_every", "seed"):
            _at_least(self, name, 0)
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(
                f"learning_rate is {self.learning_rate}: it should be above 0, and finite"
            )
        if not self.devices:
            raise ValueError("devices is empty: name at least one")
        if self.parallel not in ("none", "dp", "ddp"):
            raise ValueError(f"parallel is {self.parallel!r}: it should be none, dp or ddp")

        if self.malloc not in ("default", "keep"):
            raise ValueError(f"malloc is {self.malloc!r}: it should be default or keep")

    @property
    def device(self) -> str:
        """The first (for one process the only) device."""
        return self.devices[0]

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
        raise ValueError(f"{name} is {value}: it should be at least {minimum}")
