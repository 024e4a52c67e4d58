"""Forecast of an epoch from its measured parts.

    epoch = full steps × step + partial batch + start of the epoch + evaluation + Σ periodic ÷ every

Each part is measured by itself, once a generation (the step many times), so that changing a setting
changes the part it touches. One-time costs (compile, worker start in the first epoch) are not in it.
"""

from __future__ import annotations

from perfkit.config import RunConfig
from perfkit.engine.results import BlockResult, ProcessResult


def epoch_parts_s(process: ProcessResult, config: RunConfig) -> dict[str, float] | None:
    """Return the parts of one epoch in seconds, from one process; None when it timed no steps.

    Their sum is the forecast.
    """
    blocks = [block for block in process.blocks if block.arm == "real"]
    if not blocks:
        return None
    step_s = mean_step_s(blocks)
    parts = {"steps": config.steps_per_epoch * step_s}
    edges = process.edges
    if "partial_batch" in edges:
        # measured on a batch that was there: what it is waited for goes by its samples
        share = config.partial_batch / config.batch_size
        parts["partial_batch"] = edges["partial_batch"] + share * _mean_wait_s(blocks)
    if "epoch_start" in edges:
        # a difference, and below zero by chance where starting costs nothing: clipped it would be biased
        parts["epoch_start"] = edges["epoch_start"] - edges["pass_steps"] * step_s
    if "evaluation" in edges:
        parts["evaluation"] = edges["evaluation"]
    for name, task in edges.get("periodic", {}).items():
        parts[name] = task["run_s"] / task["every"]
    return parts


def _mean_wait_s(blocks: list[BlockResult]) -> float:
    """Mean exposed wait of a step, of the blocks that know it; 0 when none does."""
    known = [block for block in blocks if block.exposed_wait_s is not None]
    steps = sum(block.steps for block in known)
    return sum((b.exposed_wait_s or 0.0) * b.steps for b in known) / steps if steps else 0.0


def without_periodic_s(process: ProcessResult, config: RunConfig) -> float | None:
    """Return the forecast of an epoch in which no periodic work falls due; None as above."""
    parts = epoch_parts_s(process, config)
    if parts is None:
        return None
    periodic = process.edges.get("periodic", {})
    return sum(value for name, value in parts.items() if name not in periodic)


def mean_step_s(blocks: list[BlockResult]) -> float:
    """Mean seconds of a step over blocks: what an epoch of such steps takes, stalls and all."""
    return sum(block.wall_s for block in blocks) / sum(block.steps for block in blocks)
