"""Decoded samples kept in memory: reading and decoding cost an epoch nothing once they were done.

Every sample is made once, as `dataset[index]` makes it, before the loader starts: forked workers share them
page by page, which a cache in each worker would not, for a shuffled sampler gives every sample to every
worker in the end. What `__getitem__` draws at random is drawn once and stays as it is: where augmentation is
in it, other batches are trained on than without the cache, and losses differ for that reason. Augmentation
after the cache, in the collation, is as it was. Filling it is a one-time cost: `cache_fill` of
`startup_s`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from perfkit import limits
from perfkit.errors import PerfkitError

STAGE = "data"
LOOKED_AT = 8
"""Samples, spread over the dataset, that size and time are estimated from."""
MOST_MEMORY_SHARE = 0.5
"""Of the memory that is free; the rest is for batches, for the training and for what grows beside it."""
MOST_FILL_S = 120.0
"""As long as two rows of a bench take (60 s each): filling it longer is no matter of a trial."""
DEEPEST = 4
"""Containers within containers that are looked into: objects may hold each other in a ring."""
MEMINFO = Path("/proc/meminfo")


class Cached:
    """Stored samples in the place of a map-style dataset."""

    def __init__(self, samples: list[Any], nbytes: int) -> None:
        self.samples = samples
        self.nbytes = nbytes

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        sample = self.samples[index]
        # a collation may take fields out of a sample, which is made anew without the cache
        return sample.copy() if isinstance(sample, (dict, list)) else sample


def apply(training: Any, value: str | None) -> None:
    """Make every sample and have the loader read them from memory.

    Raises:
        PerfkitError: the dataset has no samples to be kept one by one, or they are too large or too slow.
    """
    dataset = training.workload.dataset
    _refuse_what_cannot_be_kept(dataset)
    count = len(dataset)
    begin, indices = time.perf_counter(), range(0, count, -(-count // LOOKED_AT))
    looked_at = [_nbytes(dataset[index]) for index in indices]
    each_s = (time.perf_counter() - begin) / len(looked_at)
    nbytes = sum(looked_at) * count // len(looked_at)
    _refuse_what_is_too_much(nbytes, count * each_s, _free_bytes())
    begin = time.perf_counter()
    samples = [dataset[index] for index in range(count)]
    training.startup_s["cache_fill"] = time.perf_counter() - begin
    training.workload = replace(training.workload, dataset=Cached(samples, nbytes))


def read_back(training: Any) -> dict[str, str]:
    kept = training.workload.dataset
    if not isinstance(kept, Cached):
        return {"dataset": "not kept"}
    return {
        "dataset": f"{len(kept)} samples kept in some {kept.nbytes / 2**20:.0f} MiB;"
        " what is random in them was drawn once"
    }


def _refuse_what_cannot_be_kept(dataset: Any) -> None:
    from torch.utils.data import IterableDataset

    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__"):
        raise PerfkitError(
            f"cache_decoded: a {type(dataset).__name__} gives a stream and no sample by its number, so that"
            " there is nothing to keep it under",
            hint="a map-style dataset, with __len__ and __getitem__, can be kept",
        )
    batched = getattr(dataset, "__getitems__", None)
    if batched is not None and not isinstance(batched([0]), list):
        raise PerfkitError(
            f"cache_decoded: {type(dataset).__name__}.__getitems__ makes whole batches, and no samples that"
            " could be kept",
            hint="keep them in the dataset itself",
        )


def _refuse_what_is_too_much(nbytes: int, fill_s: float, free_bytes: int | None) -> None:
    if free_bytes is not None and nbytes > MOST_MEMORY_SHARE * free_bytes:
        raise PerfkitError(
            f"cache_decoded: the samples need some {nbytes / 2**30:.1f} GiB, more than"
            f" {MOST_MEMORY_SHARE:.0%} of the {free_bytes / 2**30:.1f} GiB of memory that are free",
            hint="keep them on a fast disk as arrays, or keep what is slow to decode and not all of it",
        )
    if fill_s > MOST_FILL_S:
        raise PerfkitError(
            f"cache_decoded: making every sample once takes some {fill_s:.0f} s, and at most"
            f" {MOST_FILL_S:.0f} s are spent on it",
            hint="try it on fewer of them: --num-samples",
        )


def _nbytes(sample: Any, depth: int = DEEPEST) -> int:
    """Bytes of a sample: its tensors, arrays, images and texts, through containers so deep."""
    own = getattr(sample, "nbytes", None)
    if isinstance(own, int):
        # an array's own size has its data in it, a tensor's has not
        return max(own, sys.getsizeof(sample))
    if hasattr(sample, "getbands") and hasattr(sample, "size"):
        # an image of Pillow's
        return int(len(sample.getbands()) * sample.size[0] * sample.size[1])
    if isinstance(sample, Mapping):
        parts = list(sample.values())
    elif isinstance(sample, Sequence) and not isinstance(sample, (str, bytes, bytearray)):
        parts = list(sample)
    else:
        parts = list(getattr(sample, "__dict__", {}).values())
    within = sum(_nbytes(part, depth - 1) for part in parts) if depth else 0
    return sys.getsizeof(sample) + within


def _free_bytes() -> int | None:
    """Memory that may still be taken, of the machine and of our control group; None where unknown."""
    try:
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
        found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        found = []
    group = limits.group_free_bytes()
    known = [*found, *([group] if group is not None else [])]
    return min(known, default=None)
