"""Documents of simulated scripts that were watched: steps that remember those before, cut into windows."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from statistics import fmean

from report_documents import document, row

from perfkit.document import Document, Row
from perfkit.study.attached.result import WINDOWS


def watched(
    rng: random.Random,
    *,
    slower: float = 1.0,
    memory: float = 0.0,
    steps: int = 480,
    drift: float = 0.02,
    ranks: int = 1,
) -> Document:
    """A watched run on a machine that is as fast as it happens to be.

    Args:
        slower: how many times longer its steps take.
        memory: correlation of the logarithm of a step with that of the one before (AR(1)).
        steps: of the second epoch and later ones.
        drift: standard deviation of the machine's speed from run to run, relative.
    """
    machine = slower * math.exp(rng.gauss(0, drift))
    keys = ["run"] if ranks == 1 else [f"run/rank{rank}" for rank in range(ranks)]
    return document(
        *(_row(key, _windows(rng, machine, memory, steps)) for key in keys),
        kind="run",
        command="perfkit run -- python train.py",
        created=f"2026-01-01T00:00:00.{rng.randrange(10**9):09}+00:00",
    )


def _row(key: str, epochs: tuple[float, ...]) -> Row:
    return replace(row(key, fmean(epochs), None), generations=1, generation_epoch_time_s=epochs)


def _windows(rng: random.Random, machine: float, memory: float, steps: int) -> tuple[float, ...]:
    """Epochs of a hundred steps of 50 ms, as each window of steps has them."""
    strays = 0.06
    log, logs = rng.gauss(0, strays), []
    for _ in range(steps):
        log = memory * log + rng.gauss(0, strays * math.sqrt(1 - memory**2))
        logs.append(log)
    length = steps // WINDOWS
    cut = (logs[at : at + length] for at in range(0, WINDOWS * length, length))
    return tuple(100 * 0.05 * machine * fmean(map(math.exp, window)) for window in cut)
