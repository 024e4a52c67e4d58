"""From the results of all generations to the rows of the Document. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from perfkit.document import Row, Spread, Status
from perfkit.engine.plan import RowPlan
from perfkit.engine.results import BlockResult, GenerationResult, ProcessResult
from perfkit.stats import mean_interval, median, quantile
from perfkit.study.forecast import epoch_parts_s
from perfkit.study.losses import distance, tolerance
from perfkit.study.matrix import fp32_twin
from perfkit.study.notes import row_notes
from perfkit.study.ratios import epoch_s, log_ratios, sample_s, speedup

Averages = Mapping[str, tuple[dict[str, float | None], dict[str, str]]]
"""By row key: telemetry averaged over the row's measured blocks, and reasons for what is missing."""


def make_rows(
    planned: Sequence[RowPlan], results: Sequence[GenerationResult], telemetry: Averages
) -> tuple[Row, ...]:
    """Return one Row per planned row, in order; the first is the reference."""
    return tuple(_row(row, planned, results, telemetry.get(row.key, ({}, {}))) for row in planned)


def windows(row: RowPlan, results: Sequence[GenerationResult]) -> list[tuple[int, int]]:
    """Return (start_ns, end_ns) of every measured block of a row."""
    blocks = _blocks(processes_of(row, results))
    return [(block.start_ns, block.end_ns) for block in blocks]


def processes_of(row: RowPlan, results: Sequence[GenerationResult]) -> list[ProcessResult]:
    """Return every process that a row had, in order."""
    return [p for r in results if (p := r.process(row.key)) is not None]


def _row(
    row: RowPlan,
    planned: Sequence[RowPlan],
    results: Sequence[GenerationResult],
    telemetry: tuple[dict[str, float | None], dict[str, str]],
) -> Row:
    reference = planned[0]
    every = processes_of(row, results)
    finished = [p for p in every if p.status == "ok"]
    blocks = _blocks(finished)
    status, message = _status(every, results, row)
    unavailable = dict(telemetry[1])
    parts = _mean_parts(row, finished)
    epochs = [e for p in finished if (e := epoch_s(p, row.config)) is not None]
    times = [t for block in blocks for t in block.step_times_s]
    samples_per_sec = _samples_per_sec(blocks)
    memory = _most(p.memory for p in finished)
    examined = next((p.examined for p in finished if p.examined), {})
    for process in finished:
        unavailable |= process.unavailable
    achieved = _achieved(examined, samples_per_sec)
    values: dict[str, Any] = {
        "epoch_time_s": mean_interval(epochs) if epochs else None,
        "step_time_s": _spread(times),
        "exposed_wait_s": _mean(b.exposed_wait_s for b in blocks),
        "samples_per_sec": samples_per_sec,
        "speedup": speedup(row, reference, results) if epochs else None,
        "step_speedup": speedup(row, reference, results, sample_s) if epochs else None,
        "peak_allocated_bytes": memory.get("peak_allocated_bytes"),
        "peak_reserved_bytes": memory.get("peak_reserved_bytes"),
        "peak_rss_bytes": memory.get("peak_rss_bytes"),
        "memory_ratio": _memory_ratio(row, reference, results),
        "gpu_util_share": telemetry[0].get("gpu_util_share"),
        "mfu": _part(achieved, examined.get("peak_flops_per_sec")),
        "gemm_ceiling_share": _part(achieved, examined.get("gemm_flops_per_sec")),
        "flops_per_sample": examined.get("flops_per_sample"),
        "overhead_share": _overhead(blocks),
    }
    for name, value in values.items():
        if value is None:
            reason = unavailable.get(name)
            unavailable[name] = reason or _why_missing(name, status, every, unavailable)
    loss = _loss(row, planned, results)
    return Row(
        key=row.key,
        arch=row.arch,
        variant=row.variant,
        status=status,
        message=message,
        epoch_parts_s=parts,
        phases_s=_weighted(blocks, lambda b: b.phases_s),
        memory=memory,
        telemetry=telemetry[0],
        startup_s=_medians(p.startup_s for p in finished),
        compile_break_even_epochs=_break_even(row, reference, results),
        loader=dict(_weighted(blocks, lambda b: b.loader)),
        loss=loss,
        effective=finished[-1].effective if finished else {},
        generations=len(epochs),
        steps_measured=sum(b.steps for b in blocks),
        generation_epoch_time_s=tuple(epochs),
        generation_speedup=tuple(math.exp(v) for v in log_ratios(row, reference, results, epoch_s)),
        generation_full_epoch_s=tuple(p.full_epoch_s for p in finished if p.full_epoch_s),
        notes=row_notes(row, blocks, results, loss, finished),
        unavailable=unavailable,
        **values,
    )


def _blocks(processes: Iterable[ProcessResult]) -> list[BlockResult]:
    return [b for p in processes for b in p.blocks if b.arm == "real"]


def _status(
    every: list[ProcessResult], results: Sequence[GenerationResult], row: RowPlan
) -> tuple[Status, str | None]:
    """A row's status is its last process's: an OOM beside others is overruled by a run alone."""
    if not every:
        return "error", "not run: the study ended before its turn"
    last = every[-1]
    if last.status == "ok" or (any(p.status == "ok" for p in every) and last.status == "oom"):
        crowded = next((r for r in reversed(results) if r.process(row.key) is last), None)
        company = crowded is not None and crowded.side_by_side and len(crowded.processes) > 1
        if last.status == "ok" or company:
            return "ok", None
    return last.status, last.message


def _mean_parts(row: RowPlan, finished: list[ProcessResult]) -> dict[str, float]:
    each = [parts for p in finished if (parts := epoch_parts_s(p, row.config)) is not None]
    names = {name: None for parts in each for name in parts}
    return {name: fmean(parts.get(name, 0.0) for parts in each) for name in names}


def _spread(times: list[float]) -> Spread | None:
    if not times:
        return None
    return Spread(median=median(times), p10=quantile(times, 0.1), p90=quantile(times, 0.9))


def _samples_per_sec(blocks: list[BlockResult]) -> float | None:
    wall_s = sum(b.wall_s for b in blocks)
    return sum(b.samples for b in blocks) / wall_s if wall_s else None


def _weighted(blocks: list[BlockResult], pick: Any) -> dict[str, float]:
    """Mean of per-step (or per-batch) values over blocks, weighted by their steps."""
    sums: dict[str, float] = {}
    steps: dict[str, int] = {}
    for block in blocks:
        for name, value in pick(block).items():
            sums[name] = sums.get(name, 0.0) + value * block.steps
            steps[name] = steps.get(name, 0) + block.steps
    return {name: sums[name] / steps[name] for name in sums}


def _most(each: Iterable[Mapping[str, int | None]]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for memory in each:
        for name, value in memory.items():
            known = found.get(name)
            found[name] = value if known is None else max(known, value or 0)
    return found


def _medians(each: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Median of each one-time cost over processes."""
    values: dict[str, list[float]] = {}
    for startup in each:
        for name, value in startup.items():
            values.setdefault(name, []).append(value)
    return {name: median(found) for name, found in values.items()}


def peak_memory(memory: Mapping[str, int | None]) -> int | None:
    """The peak that rows are compared by: the device's allocator where there is one, else host RSS."""
    allocated = memory.get("peak_allocated_bytes")
    return allocated if allocated is not None else memory.get("peak_rss_bytes")


def _memory_ratio(
    row: RowPlan, reference: RowPlan, results: Sequence[GenerationResult]
) -> float | None:
    def peak(of: RowPlan) -> int | None:
        finished = [p for p in processes_of(of, results) if p.status == "ok"]
        return peak_memory(_most(p.memory for p in finished))

    ours, theirs = peak(row), peak(reference)
    return ours / theirs if ours and theirs else None


def _achieved(examined: Mapping[str, Any], samples_per_sec: float | None) -> float | None:
    flops = examined.get("flops_per_sample")
    return flops * samples_per_sec if flops and samples_per_sec else None


def _part(achieved: float | None, ceiling: float | None) -> float | None:
    return achieved / ceiling if achieved and ceiling else None


def _overhead(blocks: list[BlockResult]) -> float | None:
    wall_s = sum(b.wall_s for b in blocks)
    return sum(b.own_s for b in blocks) / wall_s if wall_s else None


def _break_even(
    row: RowPlan, reference: RowPlan, results: Sequence[GenerationResult]
) -> float | None:
    """Epochs until a compiled row's longer first step is paid back by its shorter epochs.

    None when it compiles nothing, or when its epochs are not faster.
    """
    judged = speedup(row, reference, results)
    if not any(name == "compile" for name, _ in row.config.variants) or judged is None:
        return None
    ours = [p for p in processes_of(row, results) if p.status == "ok"]
    theirs = [p for p in processes_of(reference, results) if p.status == "ok"]
    if judged.outcome != "faster" or not ours or not theirs:
        return None
    # the first process compiled with whatever cache there was; later ones find it warm
    first = ours[0].startup_s["first_step"] - median([p.startup_s["first_step"] for p in theirs])
    epoch = median([e for p in theirs if (e := epoch_s(p, reference.config)) is not None])
    saved = epoch * (1 - 1 / judged.value)
    return max(0.0, first) / saved


def _loss(
    row: RowPlan, planned: Sequence[RowPlan], results: Sequence[GenerationResult]
) -> dict[str, float | None]:
    twin = fp32_twin(row, planned)
    if twin is None:
        return {}
    ours, theirs = _traces(row, results), _traces(twin, results)
    if not ours or not theirs:
        return {}
    return {"distance": distance(ours[0], theirs[0]), "tolerance": tolerance(theirs)}


def _traces(row: RowPlan, results: Sequence[GenerationResult]) -> list[list[float]]:
    for process in processes_of(row, results):
        traces = process.examined.get("losses") or {}
        if traces:
            return [traces[seed] for seed in sorted(traces, key=int)]
    return []


def _why_missing(
    name: str, status: Status, every: list[ProcessResult], known: Mapping[str, str]
) -> str:
    """A reason code for a value that is null."""
    if status == "unsupported":
        return "not_supported"
    if not any(p.status == "ok" for p in every):
        return "no_data"
    environment = next((p.environment for p in every if p.environment), {})
    on_cuda = str(environment.get("device_type", "")) == "cuda"
    if name in ("peak_allocated_bytes", "peak_reserved_bytes", "gpu_util_share") and not on_cuda:
        return "no_gpu"
    if name == "mfu" and "flops_per_sample" not in known:
        return "unknown_peak"
    return "no_data"


def _mean(values: Iterable[float | None]) -> float | None:
    present = [v for v in values if v is not None]
    return fmean(present) if present else None
