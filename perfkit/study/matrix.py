"""The rows of a bench: archs × precisions × sweeps, keyed, without duplicates, in groups."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from perfkit import variants
from perfkit.config import RunConfig
from perfkit.engine.plan import MOST_PROCESSES, RowPlan


def rows(base: RunConfig, archs: Sequence[str], texts: Sequence[str]) -> tuple[RowPlan, ...]:
    """Return one row per arch and variant, in the order asked for; the first is the reference.

    Args:
        base: the settings that every row starts from.
        archs: workload names.
        texts: variants in their grammar; what differs from the base settings makes the key, and rows
            whose keys are the same collapse.

    Raises:
        UsageError: a variant does not exist or cannot be had.
    """
    found: dict[str, RowPlan] = {}
    for arch in archs:
        for text in texts:
            config = variants.configure(replace(base, arch=arch), variants.parse(text))
            variant = variants.text(config.variants)
            key = f"{arch}/{variant}"
            found.setdefault(key, RowPlan(key=key, arch=arch, variant=variant, config=config))
    return tuple(found.values())


def groups(planned: Sequence[RowPlan]) -> tuple[tuple[RowPlan, ...], ...]:
    """Split rows into groups that fit side by side, with the reference first in each."""
    reference, others = planned[0], planned[1:]
    if not others:
        return ((reference,),)
    size = MOST_PROCESSES - 1
    # even groups and not full ones with a rest: rows of a small group would get more of the device
    count = -(-len(others) // size)
    bounds = [round(i * len(others) / count) for i in range(count + 1)]
    return tuple((reference, *others[low:high]) for low, high in itertools.pairwise(bounds))


def fp32_twin(row: RowPlan, planned: Sequence[RowPlan]) -> RowPlan | None:
    """Return the FP32 row whose losses a row's are held against: same network, same batches.

    None when there is none among the rows, or when the row is not comparable to it.
    """
    for other in planned:
        plain = all(
            variants.get(name).stage in ("precision", "settings")
            for name, _ in other.config.variants
        )
        is_fp32 = other.config.variants[0][0] == "fp32"
        if plain and is_fp32 and _same_training(row.config, other.config):
            return other
    return None


def _same_training(one: RunConfig, other: RunConfig) -> bool:
    """Whether two rows train the same weights on the same batches, in whatever precision."""
    fields = ("arch", "batch_size", "base_channels", "num_blocks", "learning_rate", "image_size")
    return all(getattr(one, name) == getattr(other, name) for name in fields)
