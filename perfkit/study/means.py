"""Means, medians and maxima over the blocks and processes of a row. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from perfkit.document import Clock, Spread
from perfkit.engine.results import BlockResult, ProcessResult
from perfkit.stats import median, quantile
from perfkit.study.forecast import real_blocks

READINESS = ("waiting", "transfer")
"""Phases of a block that knows whether a batch was ready; others have `data_wait` in their place."""


def spread(times: Sequence[float]) -> Spread | None:
    """How single steps vary; None without any."""
    if not times:
        return None
    return Spread(median=median(times), p10=quantile(times, 0.1), p90=quantile(times, 0.9))


def per_step(
    blocks: Sequence[BlockResult], pick: Callable[[BlockResult], Mapping[str, float]]
) -> dict[str, float]:
    """Mean of per-step (or per-batch) values over the blocks that have them, weighted by their steps."""
    sums: dict[str, float] = {}
    steps: dict[str, int] = {}
    for block in blocks:
        for name, value in pick(block).items():
            sums[name] = sums.get(name, 0.0) + value * block.steps
            steps[name] = steps.get(name, 0) + block.steps
    return {name: sums[name] / steps[name] for name in sums}


def per_step_value(
    blocks: Sequence[BlockResult], pick: Callable[[BlockResult], float | None]
) -> float | None:
    """The same of one value; None where no block has it."""

    def picked(block: BlockResult) -> dict[str, float]:
        value = pick(block)
        return {} if value is None else {"value": value}

    return per_step(blocks, picked).get("value")


def phases(processes: Sequence[ProcessResult]) -> tuple[dict[str, float], Clock | None]:
    """Mean seconds of a step in each phase, and whose clock they are on.

    Where no block has any they are those of all real steps of the first process that has them.

    Blocks of two clocks are not averaged together, nor those that know whether a batch was ready with
    those that do not: the device's clock and the knowledge are preferred, so that phases add up to the mean
    step of the blocks they are of.
    """
    timed = [block for block in real_blocks(processes) if block.phases_s]
    if not timed:
        pooled = next((p for p in processes if p.phases_s), None)
        return ({}, None) if pooled is None else (pooled.phases_s, pooled.phases_clock)
    clocks: tuple[Clock | None, ...] = ("device", "host", None)
    clock = next((c for c in clocks if any(b.phases_clock == c for b in timed)), None)
    timed = [block for block in timed if block.phases_clock == clock]
    knowing = [block for block in timed if any(name in block.phases_s for name in READINESS)]
    return per_step(knowing or timed, lambda block: block.phases_s), clock


def most(each: Iterable[Mapping[str, int | None]]) -> dict[str, int | None]:
    """Largest of each peak over processes; None where no process has it."""
    found: dict[str, int | None] = {}
    for memory in each:
        for name, value in memory.items():
            known = found.get(name)
            found[name] = value if known is None else max(known, value or 0)
    return found


def startup_s(every: Sequence[ProcessResult]) -> dict[str, float]:
    """Median of each one-time cost over processes that finished, and the first step twice.

    `first_step_cold` is that of the row's first process, which compiles with whatever cache there was;
    `first_step` is the median of the later ones, which find it warm, and is not there without them.
    """
    values: dict[str, list[float]] = {}
    for process in every:
        if process.status == "ok":
            for name, value in process.startup_s.items():
                values.setdefault(name, []).append(value)
    found = {name: median(costs) for name, costs in values.items() if name != "first_step"}
    # also of a process that failed later: it has filled the cache for the others
    steps = [(p.startup_s["first_step"], p.status) for p in every if "first_step" in p.startup_s]
    if steps and "first_step" in values:
        found["first_step_cold"] = steps[0][0]
        warm = [step_s for step_s, status in steps[1:] if status == "ok"]
        if warm:
            found["first_step"] = median(warm)
    return found
