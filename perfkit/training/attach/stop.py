"""Ending a script early, where that was asked for: after so many steps, or so many seconds of training."""

from __future__ import annotations

import time
from collections.abc import Mapping

VARIABLE = "PERFKIT_STOP"


class Stop:
    """When the script is to end; never, unless the environment says `steps:N` or `seconds:S`.

    Raises:
        ValueError: it says something else.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        kind, _, amount = environment.get(VARIABLE, "").partition(":")
        if kind not in ("", "steps", "seconds"):
            raise ValueError(f"{VARIABLE} is {kind}:{amount}; it takes steps:N or seconds:S")
        self.asked = bool(kind)
        self._steps = int(amount) if kind == "steps" else None
        self._seconds = float(amount) if kind == "seconds" else None
        self._begun_s: float | None = None

    def begin(self) -> None:
        """Training begins now."""
        self._begun_s = time.perf_counter()

    def due(self, steps: int) -> bool:
        """Whether it is time, after so many steps of training."""
        if self._begun_s is None:
            return False
        if self._steps is not None:
            return steps >= self._steps
        return self._seconds is not None and time.perf_counter() - self._begun_s >= self._seconds
