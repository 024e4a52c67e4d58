"""Documents of simulated scripts that were watched: steps that remember those before, cut into windows."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from statistics import fmean

from report_documents import document, row

from perfkit.document import Document, Row, StepWindows
from perfkit.study.attached.windows import COMPARED_WINDOWS

STEP_S = 0.05
EPOCH = 100
"""Steps of an epoch."""


def watched(
    rng: random.Random,
    *,
    slower: float = 1.0,
    memory: float = 0.0,
    steps: int = 480,
    first: int = 80,
    epoch: int = EPOCH,
    batch_size: int = 16,
    drift: float = 0.02,
    ranks: int = 1,
) -> Document:
    """A watched run on a machine that is as fast as it happens to be.

    Args:
        slower: how many times longer its steps take.
        memory: correlation of the logarithm of a step with that of the one before (AR(1)).
        steps: of the second epoch and later ones; 0 where none was seen to begin.
        first: of the first epoch, its warm-up aside, whose steps take a tenth longer.
        epoch: steps of an epoch.
        drift: standard deviation of the machine's speed from run to run, relative.
    """
    machine = slower * math.exp(rng.gauss(0, drift))
    keys = ["run"] if ranks == 1 else [f"run/rank{rank}" for rank in range(ranks)]
    rows = []
    for key in keys:
        later = {"later_epochs": _windows(rng, machine, memory, steps)} if steps else {}
        early = {"first_epoch": _windows(rng, 1.1 * machine, memory, first)} if first else {}
        rows.append(_row(key, early | later, epoch, batch_size))
    return replace(
        document(*rows, kind="run", command="perfkit run -- python train.py"),
        created=f"2026-01-01T00:00:00.{rng.randrange(10**9):09}+00:00",
        base={"batch_size": batch_size} | ({"steps_per_epoch": epoch} if steps else {}),
    )


def _row(key: str, windows: dict[str, StepWindows], epoch: int, batch_size: int) -> Row:
    later = windows.get("later_epochs")
    step_s = fmean((later or next(iter(windows.values()))).step_time_s)
    found = replace(
        row(key, step_s * epoch, None),
        windows=windows,
        generations=1,
        samples_per_sec=batch_size / step_s,
        epoch_parts_s={"steps": step_s * epoch, "evaluation": 0.0},
    )
    if later is None:
        unavailable = {**found.unavailable, "epoch_time_s": "first_epoch"}
        return replace(found, epoch_time_s=None, unavailable=unavailable)
    return found


def _windows(rng: random.Random, machine: float, memory: float, steps: int) -> StepWindows:
    """Steps of 50 ms."""
    strays = 0.06
    log, logs = rng.gauss(0, strays), []
    for _ in range(steps):
        log = memory * log + rng.gauss(0, strays * math.sqrt(1 - memory**2))
        logs.append(log)
    count = min(COMPARED_WINDOWS, max(1, steps // 5))
    edges = [round(number * steps / count) for number in range(count + 1)]
    cut = (logs[a:b] for a, b in itertools.pairwise(edges))
    return StepWindows(
        step_time_s=tuple(STEP_S * machine * fmean(map(math.exp, window)) for window in cut),
        steps=steps,
    )
