"""What making batches takes the workers, and what a block owes of it. Pure but for reading their records."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from perfkit.errors import DamagedFile
from perfkit.jsonlines import JsonLines
from perfkit.records import FETCHES, FetchRecord
from perfkit.runfolder import RunFolder


def deferred_s(wall_s: float, steps: int, drained: int, production_s: float) -> float:
    """Production time that a block had for nothing, because it drained batches made before it.

    In steady state `steps` batches take the workers `steps × production_s`. A block that drained the queue
    and was faster than that owes the difference, at most `production_s` for each batch drained; one that
    was slower was held by something else, and owes nothing.

    Args:
        production_s: seconds in which all workers together make one batch.
    """
    if drained <= 0:
        return 0.0
    return max(0.0, min(drained * production_s, steps * production_s - wall_s))


def production_s(
    fetches: Sequence[FetchRecord], stretches: Sequence[tuple[int, int]], num_workers: int
) -> float | None:
    """Return the seconds in which the workers together make one batch; None where too few were seen.

    Only batches count that were begun and ended in one of the `stretches` of `perf_counter_ns` in which
    the process ran: a pause in between would be taken for work. Slow batches fit into few of them, so the
    warm-up should be among the stretches, and fewer batches than workers say nothing.
    """
    whole = [
        busy_s
        for f in fetches
        if (busy_s := _busy_s(f)) >= 0
        and any(
            start <= f.end_ns - int(busy_s * 1e9) and f.end_ns <= end for start, end in stretches
        )
    ]
    if num_workers < 1 or len(whole) < num_workers:
        return None
    return fmean(whole) / num_workers


def loader_means(made: Sequence[FetchRecord]) -> dict[str, float]:
    """Worker-side means per batch, times in seconds, and the share of their time the workers were busy."""
    if not made:
        return {}
    means: dict[str, float] = {"batches": float(len(made))}
    for name, known in {
        "fetch_s": _mean(f.fetch_s for f in made),
        "fetch_cpu_s": _cpu_s([(f.fetch_s, f.fetch_cpu_s) for f in made]),
        "collate_s": _mean(f.collate_s for f in made),
        "collate_cpu_s": _cpu_s([(f.collate_s, f.collate_cpu_s) for f in made]),
        "handover_s": _mean(f.handover_s for f in made),
    }.items():
        if known is not None:
            means[name] = known
    serialise = _mean(f.serialise_cpu_s for f in made)
    if serialise is not None:
        means["serialise_cpu_s"] = max(0.0, serialise)
    tensors = [f.tensors for f in made if f.tensors >= 0]
    if tensors:
        means["tensors"] = fmean(tensors)
    busy_s = sum(_busy_s(f) for f in made)
    idle_s = sum(f.idle_s for f in made if not math.isnan(f.idle_s))
    if idle_s > 0:
        means["busy_share"] = busy_s / (busy_s + idle_s)
    return means


def read_fetches(folder: RunFolder) -> list[FetchRecord]:
    """Return what every worker recorded of its batches; nothing of one whose file was never begun."""
    found: list[FetchRecord] = []
    for path in sorted(folder.rank(0).loader.glob("*.bin")):
        try:
            found.extend(FETCHES.read(path))
        except DamagedFile:
            # a worker killed while it wrote its header; its batches are not told
            continue
    return found


def read_stacks(loader: Path) -> list[dict[str, Any]]:
    """Return what every worker was seen in while it made batches, by function and line, with its pid.

    Args:
        loader: folder of the workers' files.
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for path in sorted(loader.glob("*.jsonl")):
        pid = path.stem.rpartition("-")[2]
        with contextlib.suppress(DamagedFile, OSError, ValueError):
            for one in JsonLines(path).read():
                # told again whenever it has grown
                key = (
                    pid,
                    *(one.get(name) for name in ("where", "function", "inner_where", "inner")),
                )
                found[key] = {**one, "worker": int(pid)}
    return list(found.values())


def began_ns(fetch: FetchRecord) -> int:
    """Return when a worker was free for a batch, `perf_counter_ns`."""
    return fetch.end_ns - int((_busy_s(fetch) + _or_zero(fetch.idle_s)) * 1e9)


def _busy_s(fetch: FetchRecord) -> float:
    return fetch.fetch_s + fetch.collate_s + _or_zero(fetch.handover_s)


def _cpu_s(times: Sequence[tuple[float, float]]) -> float | None:
    """Mean CPU time a batch, from wall and CPU times of each; None where no batch has it.

    A trainer that makes its own batches reads the CPU's clock of some of them only: their share of CPU time
    is taken for that of all.
    """
    both = [(wall_s, cpu_s) for wall_s, cpu_s in times if not math.isnan(wall_s + cpu_s)]
    wall_s, cpu_s = (sum(column) for column in zip(*both, strict=True)) if both else (0.0, 0.0)
    if wall_s <= 0:
        return _mean(cpu for _, cpu in both)
    return cpu_s / wall_s * fmean(wall for wall, _ in times if not math.isnan(wall))


def _mean(values: Iterable[float]) -> float | None:
    present = [v for v in values if not math.isnan(v)]
    return fmean(present) if present else None


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
