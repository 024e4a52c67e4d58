"""Losses of a row held against FP32's: their distance, and how large a distance rounding alone explains.

The tolerance is FP32's own spread on the same weights and data, with errors of the size of the row's
rounding planted in its arithmetic: no wider where a training is robust, no narrower where it amplifies
the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfkit import variants
from perfkit.config import RunConfig
from perfkit.engine.plan import Examine, RowPlan
from perfkit.engine.results import ProcessResult
from perfkit.study.matrix import fp32_twin

UNIT_ROUNDOFF = {"fp32": 2.0**-24, "tf32": 2.0**-11, "fp16": 2.0**-11, "bf16": 2.0**-8}
"""Largest relative error of rounding to nearest: half a unit in the last of 24, 11, 11 and 8 significant
bits (IEEE 754-2019, table 3.5; TF32 and bfloat16 keep FP32's exponent and 10 and 7 bits of its mantissa)."""
FACTOR = 4.0
"""Tolerance ÷ the largest distance of a perturbed trace. A perturbed trace has one error of that size a
product; autocast rounds both operands, the product and its gradient, each once, so four errors, and they
may all point one way."""


def unit_roundoff(config: RunConfig) -> float | None:
    """Relative rounding error of a row's arithmetic; None for a precision that we do not know."""
    name = next((n for n, _ in config.variants if variants.get(n).stage == "precision"), "fp32")
    if name == "amp":
        name = "fp16" if config.device.startswith("cuda") else "bf16"
    return UNIT_ROUNDOFF.get(name)


def examinations(planned: Sequence[RowPlan], seed: int) -> dict[str, Examine]:
    """Return the losses to trace, by row key: one trace each.

    An FP32 row that others are held against has further ones, perturbed by as much as each of those rounds.
    """
    sizes: dict[str, set[float]] = {row.key: set() for row in planned}
    for row in planned:
        twin, size = fp32_twin(row, planned), unit_roundoff(row.config)
        if twin is not None and twin.key != row.key and size is not None:
            sizes[twin.key].add(size)
    return {
        key: Examine(seed=seed, perturbations=tuple(sorted(each))) for key, each in sizes.items()
    }


def held_against_fp32(
    row: RowPlan,
    twin: RowPlan,
    ours: Sequence[ProcessResult],
    theirs: Sequence[ProcessResult],
) -> dict[str, float | None]:
    """Return the distance of a row's losses to its FP32 twin's and the tolerance; empty without both.

    Args:
        ours: the row's processes.
        theirs: the twin's.
    """
    this, that = _examined(ours), _examined(theirs)
    trace, plain = _plain(this), _plain(that)
    if not trace or not plain:
        return {}
    size = unit_roundoff(row.config)
    perturbed = {} if size is None else that.get("perturbed") or {}
    return {
        "distance": distance(trace, plain),
        "tolerance": tolerance(plain, perturbed.get(repr(size), ())),
    }


def distance(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Largest distance of two loss traces, step by step; None without a common step.

    In units of the first loss of `theirs`: relative to each step's own it would grow without bound
    where a few steps on a few batches already bring the loss near zero.
    """
    if not ours or not theirs or not theirs[0]:
        return None
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=False)) / abs(theirs[0])


def tolerance(plain: Sequence[float], perturbed: Sequence[Sequence[float]]) -> float | None:
    """How far rounding may take losses: `FACTOR` times the largest distance of a perturbed trace."""
    each = [d for trace in perturbed if (d := distance(trace, plain)) is not None]
    return FACTOR * max(each) if each else None


def _examined(processes: Sequence[ProcessResult]) -> Mapping[str, Any]:
    return next((p.examined for p in processes if p.examined.get("losses")), {})


def _plain(examined: Mapping[str, Any]) -> Sequence[float]:
    """The trace of the lowest seed: what earlier versions stored for others beside it does not count."""
    traces = examined.get("losses") or {}
    return traces[min(traces, key=int)] if traces else ()
