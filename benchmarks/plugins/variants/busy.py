"""A planted slowdown: the training process spins for so many microseconds in every step.

Made for `benchmarks/power.py`: a slowdown whose true size is known is either found or not.
"""

from __future__ import annotations

import time
from typing import Any

from perfkit.variants._values import whole

STAGE = "model"
VALUE = "US"


def normalise(value: str | None) -> str:
    return whole("busy", value, 1)


def spin(seconds: float) -> None:
    """Keep one core busy until so much time has passed."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def apply(training: Any, value: str) -> None:
    # the callable of the steps alone: evaluation uses the model and is not slowed down
    step_model, seconds = training.step_model, int(value) * 1e-6

    def slowed(*inputs: Any, **named: Any) -> Any:
        spin(seconds)
        return step_model(*inputs, **named)

    training.step_model = slowed
    training.busy_us = int(value)


def read_back(training: Any) -> dict[str, str]:
    return {"busy_us": str(training.busy_us)}
