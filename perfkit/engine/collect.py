"""From a run folder to a ProcessResult: what the process answered, and the records behind it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from perfkit.engine.process import Failed
from perfkit.engine.results import BlockResult, ProcessResult
from perfkit.errors import DamagedFile
from perfkit.records import FETCHES, STEPS, FetchRecord, StepRecord
from perfkit.runfolder import RunFolder

PHASES = ("data_wait", "h2d", "forward", "backward", "optimizer", "other")


@dataclass(frozen=True, kw_only=True)
class BlockWatch:
    """What the engine saw of a block from outside."""

    number: int
    palindrome: int
    disturbed: bool
    foreign_cpu_s: float | None


def collect(
    folder: RunFolder, key: str, watches: Sequence[BlockWatch], failure: Failed | None, name: str
) -> ProcessResult:
    """Read one process back.

    Args:
        watches: the blocks that count, in order; a block that is not among them was repeated.
        failure: why the process ended early, None when it did not.
        name: where the folder lies, relative to the study.
    """
    answers: dict[str, dict[str, Any]] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in folder.rank(0).events.read():
        if event.get("event") == "done" and event.get("do") == "block":
            blocks[event["block"]] = event
        elif event.get("event") == "done":
            answers[event["do"]] = event
        elif event.get("event") == "ready":
            answers["ready"] = event
    fetches = _fetches(folder)
    ready, warm_up = answers.get("ready", {}), answers.get("warm_up", {})
    at_edges, examined = answers.get("edges", {}), answers.get("examine", {})
    return ProcessResult(
        key=key,
        status="ok" if failure is None else failure.status,
        message=None if failure is None else failure.message,
        folder=name,
        blocks=tuple(
            _block(folder, blocks[w.number], w, fetches) for w in watches if w.number in blocks
        ),
        startup_s=warm_up.get("startup_s", {}),
        edges=at_edges.get("edges", {}),
        full_epoch_s=answers.get("epoch", {}).get("epoch_s"),
        memory=_memory(warm_up, at_edges),
        effective=warm_up.get("effective") or ready.get("effective", {}),
        environment=ready.get("environment", {}),
        examined=_without_frame(examined),
        unavailable=at_edges.get("unavailable", {}) | examined.get("unavailable", {}),
    )


def _block(
    folder: RunFolder, event: dict[str, Any], watch: BlockWatch, fetches: Sequence[FetchRecord]
) -> BlockResult:
    result = event["result"]
    start_ns, end_ns = result["start_ns"], result["end_ns"]
    records = list(
        STEPS.read(folder.rank(0).steps, first=result["first_step"], count=result["steps"])
    )
    made = [f for f in fetches if f.end_ns <= end_ns and _began_ns(f) >= start_ns]
    wall_s = (end_ns - start_ns) * 1e-9
    return BlockResult(
        number=watch.number,
        arm=event["arm"],
        palindrome=watch.palindrome,
        steps=result["steps"],
        samples=sum(r.samples for r in records),
        start_ns=start_ns,
        end_ns=end_ns,
        deferred_s=deferred_s(
            wall_s, result["steps"], result["queue_start"] - result["queue_end"]
            if min(result["queue_start"], result["queue_end"]) >= 0 else 0,
            made,
        ),
        step_times_s=tuple(_step_time(r) for r in records),
        phases_s=phase_means(records),
        exposed_wait_s=_mean(r.exposed_wait_s for r in records),
        queue_start=result["queue_start"],
        queue_end=result["queue_end"],
        steady=result["steady"],
        unsteady_because=result["unsteady_because"],
        disturbed=watch.disturbed,
        foreign_cpu_s=watch.foreign_cpu_s,
        own_s=result["own_s"],
        loader=loader_means(made),
    )  # fmt: skip


def phase_means(records: Sequence[StepRecord]) -> dict[str, float]:
    """Mean host seconds of a step in each phase; a phase that was never seen is left out.

    `other` is the residual, so that the phases add up to the mean step time.
    """
    if not records:
        return {}
    means = {}
    for phase in PHASES[:-1]:
        value = _mean(getattr(r, f"{phase}_s") for r in records)
        if value is not None:
            means[phase] = value
    step_s = _mean(r.step_s for r in records) or 0.0
    means["other"] = step_s - sum(means.values())
    return means


def deferred_s(wall_s: float, steps: int, drained: int, made: Sequence[FetchRecord]) -> float:
    """Production time that a block had for nothing, because it drained batches made before it.

    In steady state `steps` batches take the workers `steps × p`, with p their busy time per batch over
    the number of workers. A block that drained the queue and was faster than that owes the difference,
    at most p for each batch drained; one that was slower was held by something else, and owes nothing.
    """
    if drained <= 0 or not made:
        return 0.0
    workers = len({f.worker for f in made})
    busy_s = sum(f.fetch_s + f.collate_s + _or_zero(f.handover_s) for f in made)
    production_s = busy_s / len(made) / workers
    return max(0.0, min(drained * production_s, steps * production_s - wall_s))


def loader_means(made: Sequence[FetchRecord]) -> dict[str, float]:
    """Worker-side means per batch in seconds, and the share of their time the workers were busy."""
    if not made:
        return {}
    means: dict[str, float] = {"batches": float(len(made))}
    for name in ("fetch_s", "fetch_cpu_s", "collate_s", "collate_cpu_s", "handover_s"):
        value = _mean(getattr(f, name) for f in made)
        if value is not None:
            means[name] = value
    serialise = _mean(f.serialise_cpu_s for f in made)
    if serialise is not None:
        means["serialise_cpu_s"] = max(0.0, serialise)
    busy_s = sum(f.fetch_s + f.collate_s + _or_zero(f.handover_s) for f in made)
    idle_s = sum(f.idle_s for f in made if not math.isnan(f.idle_s))
    if idle_s > 0:
        means["busy_share"] = busy_s / (busy_s + idle_s)
    return means


def _fetches(folder: RunFolder) -> list[FetchRecord]:
    found: list[FetchRecord] = []
    for path in sorted(folder.rank(0).loader.glob("*.bin")):
        try:
            found.extend(FETCHES.read(path))
        except DamagedFile:
            # a worker killed while it wrote its header; its batches are not told
            continue
    return found


def _began_ns(fetch: FetchRecord) -> int:
    took = fetch.fetch_s + fetch.collate_s + _or_zero(fetch.handover_s) + _or_zero(fetch.idle_s)
    return fetch.end_ns - int(took * 1e9)


def _memory(warm_up: dict[str, Any], at_edges: dict[str, Any]) -> dict[str, int | None]:
    cold = {f"cold_{k}": v for k, v in (warm_up.get("cold") or {}).items() if k.startswith("peak")}
    return {**cold, **(at_edges.get("memory") or {})}


def _without_frame(event: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in event.items() if k not in ("event", "t_ns", "do", "unavailable")}


def _step_time(record: StepRecord) -> float:
    return record.step_s if math.isnan(record.device_step_s) else record.device_step_s


def _mean(values: Iterable[float]) -> float | None:
    present = [v for v in values if not math.isnan(v)]
    return fmean(present) if present else None


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def relative(path: Path, to: Path) -> str:
    """The path below `to`, as text with forward slashes."""
    return path.relative_to(to).as_posix()
