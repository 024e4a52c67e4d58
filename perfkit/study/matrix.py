"""The rows of a bench: archs × precisions × sweeps, keyed, without duplicates, in groups."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from perfkit import variants
from perfkit.config import RunConfig
from perfkit.engine.plan import MOST_PROCESSES, RowPlan
from perfkit.errors import UsageError
from perfkit.settings import Value


def rows(
    bases: Sequence[RunConfig], texts: Sequence[str], sweeps: Sequence[Sequence[str]] = ()
) -> tuple[RowPlan, ...]:
    """Return one row per base, variant and combination of swept values; the first is the reference.

    Args:
        bases: the settings that rows start from, one per workload.
        texts: variants in their grammar; what differs from the base settings makes the key, and rows
            whose keys are the same collapse.
        sweeps: variants that each row takes one of: `(("num_workers=0", "num_workers=2"), …)`.

    Raises:
        UsageError: a variant does not exist or cannot be had.
    """
    found: dict[str, RowPlan] = {}
    full_texts = ["+".join(parts) for parts in itertools.product(texts, *sweeps)]
    for base, text in itertools.product(bases, full_texts):
        row = row_of(base, text)
        found.setdefault(row.key, row)
    return tuple(found.values())


def row_of(base: RunConfig, text: str) -> RowPlan:
    """Return the row of one variant over the base settings.

    Raises:
        UsageError: the variant does not exist or cannot be had.
    """
    config = variants.configure(base, variants.parse(text))
    variant = variants.text(config.variants)
    key = f"{base.arch}/{variant}"
    return RowPlan(key=key, arch=base.arch, variant=variant, config=config)


def swept(text: str) -> tuple[str, ...]:
    """Read a sweep, `NAME=V1,V2,…`, into the variants that it stands for.

    Raises:
        UsageError: no such variant, one that takes no value, or no values.
    """
    name, equals, values = text.partition("=")
    variant = variants.get(name.strip())
    if variant.value is None:
        raise UsageError(
            f"{text}: {variant.name} takes no value to sweep",
            field="--sweep",
            hint=f"--variant {variant.name} adds a row with it",
        )
    each = [value.strip() for value in values.split(",")]
    if not equals or not all(each):
        hint = f"write {variant.name}=V1,V2"
        raise UsageError(f"{text}: it names no values", field="--sweep", hint=hint)
    return tuple(f"{variant.name}={value}" for value in each)


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
    fields = ("arch", "batch_size", "learning_rate")
    same = all(getattr(one, name) == getattr(other, name) for name in fields)
    return same and _trained_settings(one) == _trained_settings(other)


def _trained_settings(config: RunConfig) -> dict[str, Value]:
    """The workload's own settings that weights and losses depend on."""
    own = config.workload
    return {name: own[name] for name in own if name not in config.workload_untrained}
