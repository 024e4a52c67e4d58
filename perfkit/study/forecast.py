"""Forecast of an epoch from its measured parts.

    epoch = full steps × step + partial batch + start of the epoch + evaluation + Σ periodic ÷ every

Each part is measured by itself, once a generation (the step many times), so that changing a setting
changes the part it touches. One-time costs (compile, worker start in the first epoch) are not in it.
A part that was tried and lost leaves no forecast, but for the partial batch: an epoch without it is one
whose loader drops it.
"""

from __future__ import annotations

from collections.abc import Iterable

from perfkit.config import RunConfig
from perfkit.engine.results import BlockResult, ProcessResult

OWN_PARTS = ("steps", "partial_batch", "epoch_start", "evaluation")
"""Names that periodic work of the same name does not take."""
NOT_IN_AN_EPOCH = (
    "partial_batch", "memory", "losses", "flops_per_sample", "gemm_ceiling_share",
    "copy_bytes_per_sec", "examine", "full_epoch", "quit", "replay", "replay_running",
    "loader_samples_per_sec", "burst", "synchronising", "dispatch",
)  # fmt: skip
"""What a process may have lost and still have its forecast. Any other name is an edge of the epoch: its
start, evaluation, periodic work, or all of them (`edges`)."""


def real_blocks(processes: Iterable[ProcessResult]) -> list[BlockResult]:
    """Return the blocks that trained on the loader's batches as they came: what an epoch consists of."""
    return [block for process in processes for block in process.blocks if block.arm == "real"]


def epoch_parts_s(process: ProcessResult, config: RunConfig) -> dict[str, float] | None:
    """Return the parts of one epoch in seconds, from one process; their sum is the forecast.

    None when it timed no steps, or lost a part that every epoch has.
    """
    return None if lost_of_the_epoch(process) else known_parts_s(process, config)


def known_parts_s(process: ProcessResult, config: RunConfig) -> dict[str, float] | None:
    """Return those parts that are known, whatever was lost of others; None when it timed no steps."""
    parts = _own_parts_s(process, config)
    return None if parts is None else parts | _periodic_s(process)


def without_periodic_s(process: ProcessResult, config: RunConfig) -> float | None:
    """Return the forecast of an epoch in which no periodic work falls due; None as above."""
    parts = None if lost_of_the_epoch(process) else _own_parts_s(process, config)
    return None if parts is None else sum(parts.values())


def lost_of_the_epoch(process: ProcessResult) -> list[str]:
    """Return the parts that a process lost without which there is no forecast."""
    return [name for name in process.lost if name not in NOT_IN_AN_EPOCH]


def mean_step_s(blocks: list[BlockResult]) -> float:
    """Mean seconds of a step over blocks: what an epoch of such steps takes, stalls and all."""
    return sum(block.wall_s for block in blocks) / sum(block.steps for block in blocks)


def _own_parts_s(process: ProcessResult, config: RunConfig) -> dict[str, float] | None:
    blocks = real_blocks([process])
    if not blocks:
        return None
    step_s = mean_step_s(blocks)
    parts = {"steps": config.steps_per_epoch * step_s}
    edges = process.edges
    if edges.get("partial_batch") is not None:
        # measured on a batch that was there: what it is waited for goes by its samples
        share = config.partial_batch / config.batch_size
        parts["partial_batch"] = edges["partial_batch"] + share * _mean_wait_s(blocks)
    if edges.get("epoch_start") is not None:
        # a difference, and below zero by chance where starting costs nothing: clipped it would be biased
        parts["epoch_start"] = edges["epoch_start"] - edges["pass_steps"] * step_s
    if edges.get("evaluation") is not None:
        parts["evaluation"] = edges["evaluation"]
    return parts


def _periodic_s(process: ProcessResult) -> dict[str, float]:
    """Seconds of an average epoch by task; one that is named like a part of ours says that it is none."""
    found: dict[str, float] = {}
    for name, task in process.edges.get("periodic", {}).items():
        while name in OWN_PARTS or name in found:
            name = f"periodic {name}"
        found[name] = task["run_s"] / task["every"]
    return found


def _mean_wait_s(blocks: list[BlockResult]) -> float:
    """Mean exposed wait of a step, of the blocks that know it; 0 when none does."""
    known = [block for block in blocks if block.exposed_wait_s is not None]
    steps = sum(block.steps for block in known)
    return sum((b.exposed_wait_s or 0.0) * b.steps for b in known) / steps if steps else 0.0
