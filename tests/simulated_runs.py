"""Benches of a simulated machine that drifts between runs and strays within them."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from report_documents import document, row

from perfkit.document import Document, Row
from perfkit.stats import mean_interval


def simulated(
    rng: random.Random,
    *,
    slower: float = 1.0,
    everything: float = 1.0,
    generations: int = 6,
    keys: tuple[str, ...] = ("convnext/fp32", "convnext/amp"),
) -> Document:
    """A bench on a machine that is as fast as it happens to be, in generations that stray.

    Args:
        slower: how many times longer the last row's epochs take.
        everything: how many times longer all rows' epochs take.
    """
    machine = everything * math.exp(rng.gauss(0, 0.02))
    of_generation = [machine * math.exp(rng.gauss(0, 0.02)) for _ in range(generations)]
    rows: list[Row] = []
    for key in keys:
        base = 10.0 * (slower if key == keys[-1] else 1.0)
        epochs = tuple(base * g * math.exp(rng.gauss(0, 0.015)) for g in of_generation)
        reference = rows[0].generation_epoch_time_s if rows else epochs
        rows.append(
            replace(
                row(key),
                epoch_time_s=mean_interval(epochs),
                generations=generations,
                generation_epoch_time_s=epochs,
                generation_speedup=tuple(r / e for r, e in zip(reference, epochs, strict=True)),
            )
        )
    return document(*rows, created=f"2026-01-01T00:00:{rng.randrange(60):02}+00:00")
