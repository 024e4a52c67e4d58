"""From the results of all generations to the rows of the Document. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from perfkit.document import Row, Status
from perfkit.engine.plan import RowPlan
from perfkit.engine.results import BlockResult, GenerationResult, ProcessResult
from perfkit.stats import CONFIDENCE, mean_interval, median
from perfkit.study.forecast import epoch_parts_s, real_blocks
from perfkit.study.losses import held_against_fp32
from perfkit.study.lost import reasons
from perfkit.study.matrix import fp32_twin
from perfkit.study.means import most, per_step, per_step_value, phases, spread, startup_s
from perfkit.study.notes import row_notes
from perfkit.study.ratios import epoch_s, log_ratios, sample_s, speedup

Averages = Mapping[str, tuple[dict[str, float | None], dict[str, str]]]
"""By row key: telemetry averaged over the row's measured blocks, and reasons for what is missing."""


def make_rows(
    planned: Sequence[RowPlan],
    results: Sequence[GenerationResult],
    telemetry: Averages,
    *,
    confidence: float = CONFIDENCE,
) -> tuple[Row, ...]:
    """Return one Row per planned row, in order; the first is the reference.

    Args:
        confidence: of Student's t, for every interval.
    """
    return tuple(
        _row(row, planned, results, telemetry.get(row.key, ({}, {})), confidence) for row in planned
    )


def windows(key: str, results: Sequence[GenerationResult]) -> list[tuple[int, int]]:
    """Return (start_ns, end_ns) of every measured block of the row of that key."""
    return [(b.start_ns, b.end_ns) for b in real_blocks(processes_of(key, results))]


def processes_of(key: str, results: Sequence[GenerationResult]) -> list[ProcessResult]:
    """Return every process that the row of that key had, in order."""
    return [p for r in results if (p := r.process(key)) is not None]


def _row(
    row: RowPlan,
    planned: Sequence[RowPlan],
    results: Sequence[GenerationResult],
    telemetry: tuple[dict[str, float | None], dict[str, str]],
    confidence: float,
) -> Row:
    reference = planned[0]
    every = processes_of(row.key, results)
    finished = [p for p in every if p.status == "ok"]
    blocks = real_blocks(finished)
    status, message = _status(every, results, row)
    epochs = [e for p in finished if (e := epoch_s(p, row.config)) is not None]
    samples_per_sec = _samples_per_sec(blocks)
    memory = most(p.memory for p in finished)
    examined = next((p.examined for p in finished if p.examined), {})
    achieved = _achieved(examined, samples_per_sec)
    phases_s, phases_clock = phases(finished)

    def judged(measure: Any) -> Any:
        return speedup(row, reference, results, measure, confidence=confidence)

    values: dict[str, Any] = {
        "epoch_time_s": mean_interval(epochs, confidence) if epochs else None,
        "step_time_s": spread([t for block in blocks for t in block.step_times_s]),
        "exposed_wait_s": per_step_value(blocks, lambda b: b.exposed_wait_s),
        "not_ready_share": per_step_value(blocks, lambda b: b.not_ready_share),
        "run_delay_s": per_step_value(blocks, lambda b: b.run_delay_s),
        "samples_per_sec": samples_per_sec,
        "speedup": judged(epoch_s) if epochs else None,
        "step_speedup": judged(sample_s) if blocks else None,
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
    unavailable = telemetry[1] | reasons(finished)
    for name, value in values.items():
        if value is None and name not in unavailable:
            unavailable[name] = _why_missing(name, status, every, unavailable)
    loss = _loss(row, planned, results)
    parts_s, started_s = _mean_parts(row, finished), startup_s(every)
    # what one process could not tell another may have told
    known = {**parts_s, **phases_s, **started_s, **memory, **telemetry[0], **loss, **values}
    unavailable = {name: why for name, why in unavailable.items() if known.get(name) is None}
    return Row(
        key=row.key,
        arch=row.arch,
        variant=row.variant,
        status=status,
        message=message,
        epoch_parts_s=parts_s,
        phases_s=phases_s,
        phases_clock=phases_clock,
        # what has a field of its own is stored there alone
        memory={name: value for name, value in memory.items() if name not in values},
        telemetry={name: value for name, value in telemetry[0].items() if name not in values},
        startup_s=started_s,
        compile_break_even_epochs=_break_even(row, reference, results, confidence),
        loader=dict(per_step(blocks, lambda b: b.loader)),
        loss=loss,
        effective=finished[-1].effective if finished else {},
        generations=sum(bool(real_blocks([p])) for p in finished),
        steps_measured=sum(b.steps for b in blocks),
        generation_epoch_time_s=tuple(epochs),
        generation_speedup=tuple(math.exp(v) for v in log_ratios(row, reference, results, epoch_s)),
        generation_full_epoch_s=tuple(p.full_epoch_s for p in finished if p.full_epoch_s),
        notes=row_notes(row, blocks, results, loss, finished),
        unavailable=unavailable,
        **values,
    )


def _status(
    every: list[ProcessResult], results: Sequence[GenerationResult], row: RowPlan
) -> tuple[Status, str | None]:
    """A row's status is its last process's: an OOM beside others is overruled by a run alone."""
    if not every:
        return "error", "not run: the study ended before its turn"
    last = every[-1]
    if last.status == "ok" or (any(p.status == "ok" for p in every) and last.status == "oom"):
        crowded = next((r for r in reversed(results) if r.process(row.key) is last), None)
        beside = crowded is not None and crowded.side_by_side and len(crowded.processes) > 1
        if last.status == "ok" or beside:
            return "ok", None
    return last.status, last.message


def _mean_parts(row: RowPlan, finished: list[ProcessResult]) -> dict[str, float]:
    each = [parts for p in finished if (parts := epoch_parts_s(p, row.config)) is not None]
    names = {name: None for parts in each for name in parts}
    return {name: fmean(parts.get(name, 0.0) for parts in each) for name in names}


def _samples_per_sec(blocks: list[BlockResult]) -> float | None:
    wall_s = sum(b.wall_s for b in blocks)
    return sum(b.samples for b in blocks) / wall_s if wall_s else None


def peak_memory(memory: Mapping[str, int | None]) -> int | None:
    """The peak that rows are compared by: the device's allocator where there is one, else host RSS."""
    allocated = memory.get("peak_allocated_bytes")
    return allocated if allocated is not None else memory.get("peak_rss_bytes")


def _memory_ratio(
    row: RowPlan, reference: RowPlan, results: Sequence[GenerationResult]
) -> float | None:
    def peak(of: RowPlan) -> int | None:
        finished = [p for p in processes_of(of.key, results) if p.status == "ok"]
        return peak_memory(most(p.memory for p in finished))

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
    row: RowPlan, reference: RowPlan, results: Sequence[GenerationResult], confidence: float
) -> float | None:
    """Epochs until a compiled row's longer first step, with a cold cache, is paid back by its shorter epochs.

    None when it compiles nothing, or when its epochs are not faster.
    """
    judged = speedup(row, reference, results, confidence=confidence)
    if not any(name == "compile" for name, _ in row.config.variants):
        return None
    if judged is None or judged.outcome != "faster":
        return None
    theirs = [p for p in processes_of(reference.key, results) if p.status == "ok"]
    ours_s = startup_s(processes_of(row.key, results)).get("first_step_cold")
    theirs_s = [p.startup_s["first_step"] for p in theirs if "first_step" in p.startup_s]
    if ours_s is None or not theirs_s:
        return None
    epoch = median([e for p in theirs if (e := epoch_s(p, reference.config)) is not None])
    return max(0.0, ours_s - median(theirs_s)) / (epoch * (1 - 1 / judged.value))


def _loss(
    row: RowPlan, planned: Sequence[RowPlan], results: Sequence[GenerationResult]
) -> dict[str, float | None]:
    twin = fp32_twin(row, planned)
    if twin is None or twin.key == row.key:
        return {}
    return held_against_fp32(
        row, twin, processes_of(row.key, results), processes_of(twin.key, results)
    )


_EXAMINED = ("mfu", "flops_per_sample", "gemm_ceiling_share")


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
    if name in _EXAMINED and not any(p.examined for p in every):
        return "not_asked"
    if name == "mfu" and "flops_per_sample" not in known:
        return "unknown_peak"
    return "no_data"
