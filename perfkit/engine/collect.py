"""From a run folder to a ProcessResult: what the process answered, and the records behind it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from perfkit.engine.phases import StepMeans, ahead_s, step_means, together
from perfkit.engine.process import Failed
from perfkit.engine.production import (
    began_ns,
    deferred_s,
    loader_means,
    production_s,
    read_fetches,
    read_stacks,
)
from perfkit.engine.profile import profile_of
from perfkit.engine.results import BlockResult, ProcessResult
from perfkit.records import STEPS, FetchRecord, StepRecord
from perfkit.runfolder import RunFolder
from perfkit.telemetry.foreign import LEAST_FOREIGN_S


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Why something that follows the blocks was not answered: its reason code, and what happened."""

    reason: str
    message: str


@dataclass(frozen=True, kw_only=True)
class BlockWatch:
    """What the engine saw of a block from outside."""

    number: int
    palindrome: int
    disturbed: bool
    foreign_cpu_s: float | None
    throttled: bool = False


def collect(
    folder: RunFolder,
    key: str,
    watches: Sequence[BlockWatch],
    failure: Failed | None,
    name: str,
    lost: Mapping[str, Lost] | None = None,
) -> ProcessResult:
    """Read one process back.

    Args:
        watches: the blocks that count, in order; a block that is not among them was repeated.
        failure: why the process ended before its blocks were timed, None when they were.
        name: where the folder lies, relative to the study.
        lost: what was not answered once they were, by name.
    """
    lost = lost or {}
    answers: dict[str, dict[str, Any]] = {}
    blocks: dict[int, dict[str, Any]] = {}
    unavailable: dict[str, str] = {}
    lost_arms: dict[str, str] = {}
    for event in folder.rank(0).events.read():
        if event.get("event") == "done" and event.get("do") == "block":
            if event["result"] is not None:
                blocks[event["block"]] = event
            unavailable |= event.get("unavailable", {})
            lost_arms |= event.get("lost", {})
        elif event.get("event") == "done":
            answers[event["do"]] = event
        elif event.get("event") == "ready":
            answers["ready"] = event
    fetches = read_fetches(folder)
    ready, warm_up = answers.get("ready", {}), answers.get("warm_up", {})
    at_edges, examined = answers.get("edges", {}), answers.get("examine", {})
    profiled, reasons = profile_of(folder, name, answers.get("profile"))
    parts = ("load", "edges", "examine", "epoch", "profile")
    later = tuple(answers.get(part, {}) for part in parts)
    stretches = [(e["result"]["start_ns"], e["result"]["end_ns"]) for e in blocks.values()]
    if ready and warm_up:
        # the workers are started in the warm-up: what they made by its end was made in it
        stretches.append((ready["t_ns"], warm_up["t_ns"]))
    each_s = production_s(fetches, stretches, folder.config().num_workers)
    counted = [(blocks[w.number], w) for w in watches if w.number in blocks]
    steps = [_records(folder, event) for event, _ in counted]
    means = [step_means(records) for records in steps]
    real = [n for n, (event, _) in enumerate(counted) if event["arm"] == "real"]
    pooled = together([steps[n] for n in real], [means[n] for n in real])
    return ProcessResult(
        key=key,
        status="ok" if failure is None else failure.status,
        message=None if failure is None else failure.message,
        folder=name,
        blocks=tuple(
            _block(event, watch, records, of_block, fetches, each_s)
            for (event, watch), records, of_block in zip(counted, steps, means, strict=True)
        ),
        phases_s=pooled.phases_s,
        phases_clock=pooled.clock,
        startup_s={
            **warm_up.get("startup_s", {}),
            **{f"first_{k}": v for k, v in at_edges.get("edges", {}).get("set_up", {}).items()},
        },
        edges=at_edges.get("edges", {}),
        full_epoch_s=answers.get("epoch", {}).get("epoch_s"),
        loader_samples_per_sec=answers.get("load", {}).get("samples_per_sec"),
        memory=_memory(warm_up, at_edges),
        effective=warm_up.get("effective") or ready.get("effective", {}),
        environment=ready.get("environment", {}),
        examined=_without_frame(examined),
        worker_stacks=tuple(read_stacks(folder.rank(0).loader)),
        profile=profiled,
        lost=lost_arms
        | _merged("lost", later)
        | {part: missing.message for part, missing in lost.items()},
        unavailable=unavailable
        | reasons
        | _merged("unavailable", later)
        | {part: missing.reason for part, missing in lost.items()},
    )


def _records(folder: RunFolder, event: dict[str, Any]) -> list[StepRecord]:
    first, steps = event["result"]["first_step"], event["result"]["steps"]
    return list(STEPS.read(folder.rank(0).steps, first=first, count=steps))


def _block(
    event: dict[str, Any],
    watch: BlockWatch,
    records: Sequence[StepRecord],
    means: StepMeans,
    fetches: Sequence[FetchRecord],
    each_s: float | None,
) -> BlockResult:
    result = event["result"]
    start_ns, end_ns = result["start_ns"], result["end_ns"]
    steps = result["steps"]
    made = [f for f in fetches if f.end_ns <= end_ns and began_ns(f) >= start_ns]
    # an arm that replays trains on batches that are paid for; what it drains it has waited for nobody
    known = event["arm"] == "real" and min(result["queue_start"], result["queue_end"]) >= 0
    taken = result["queue_start"] - result["queue_end"] if known else 0
    unsteady = result["unsteady_because"]
    if taken > 0 and each_s is None:
        unsteady = unsteady or "its queue drained, and what filling it takes is not known"
    return BlockResult(
        number=watch.number,
        arm=event["arm"],
        palindrome=watch.palindrome,
        steps=steps,
        samples=sum(r.samples for r in records),
        start_ns=start_ns,
        end_ns=end_ns,
        deferred_s=deferred_s((end_ns - start_ns) * 1e-9, steps, taken, each_s or 0.0),
        step_times_s=tuple(r.own_step_s for r in records),
        phases_s=means.phases_s,
        exposed_wait_s=_mean(r.exposed_wait_s for r in records),
        queue_start=result["queue_start"],
        queue_end=result["queue_end"],
        steady=unsteady is None,
        unsteady_because=unsteady,
        disturbed=watch.disturbed,
        throttled=watch.throttled,
        foreign_cpu_s=watch.foreign_cpu_s,
        own_s=result["own_s"],
        loader=loader_means(made),
        phases_clock=means.clock,
        not_ready_share=means.not_ready_share,
        run_delay_s=own_delay_s(means.run_delay_s, steps, watch.foreign_cpu_s),
        waits_s=_of_every_step(r.exposed_wait_s for r in records),
        ready=tuple(r.ready for r in records),
        leads_s=_of_every_step(r.lead_s for r in records),
        ahead_s=ahead_s(records),
        drained=result.get("drained", 0),
        drain_s=result.get("drain_s", 0.0),
        workers_cpu_s=result.get("workers_cpu_s"),
    )


def own_delay_s(delay_s: float | None, steps: int, foreign_s: float | None) -> float | None:
    """Return run delay per step, less what somebody else's load can have caused of it."""
    if delay_s is None or foreign_s is None or foreign_s < LEAST_FOREIGN_S:
        return delay_s
    return max(0.0, delay_s - foreign_s / steps)


def _memory(warm_up: dict[str, Any], at_edges: dict[str, Any]) -> dict[str, int | None]:
    cold = {f"cold_{k}": v for k, v in (warm_up.get("cold") or {}).items() if k.startswith("peak")}
    return {**cold, **(at_edges.get("memory") or {})}


def _without_frame(event: dict[str, Any]) -> dict[str, Any]:
    frame = ("event", "t_ns", "do", "lost", "unavailable")
    return {k: v for k, v in event.items() if k not in frame}


def _merged(name: str, answers: Iterable[dict[str, Any]]) -> dict[str, str]:
    return {part: text for answer in answers for part, text in answer.get(name, {}).items()}


def _mean(values: Iterable[float]) -> float | None:
    present = [v for v in values if not math.isnan(v)]
    return fmean(present) if present else None


def _of_every_step(values: Iterable[float]) -> tuple[float, ...]:
    """Values of all steps; none where one of them is not known."""
    every = tuple(values)
    return () if any(map(math.isnan, every)) else every


def relative(path: Path, to: Path) -> str:
    """The path below `to`, as text with forward slashes."""
    return path.relative_to(to).as_posix()
