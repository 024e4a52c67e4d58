"""Progress on stderr: one live line at a terminal, plain lines elsewhere. Data never goes here."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from perfkit import units
from perfkit.engine.events import (
    Doing,
    Event,
    GenerationDone,
    GenerationStarted,
    Preparing,
    ProcessFailed,
    Tried,
    Trying,
    TurnRepeated,
)

_EVERY_S = 5.0
_BAR = 24
"""Plain lines come no more often than this, besides those that matter."""


class Progress:
    """Shows the engine's events until closed. Use it as a context manager."""

    def __init__(self, budget_s: float | None, generations: int | None = None) -> None:
        self._budget_s = budget_s
        self._generations = generations
        self._costs_s: list[float] = []
        self._began = self._last_done = time.monotonic()
        self._last_line = 0.0
        self._status: Any = None
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self._live = sys.stderr.isatty() and not plain

    def __enter__(self) -> Progress:
        if self._live:
            from rich.console import Console

            console = Console(stderr=True)
            self._status = console.status("starting", spinner="line")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def count(self, spent_s: float, costs_s: Sequence[float]) -> None:
        """Count what was spent before: on preparation, and on generations of an earlier command.

        Args:
            spent_s: on both.
            costs_s: of each of those generations.
        """
        self._began -= spent_s
        self._costs_s += costs_s

    def say(self, text: str) -> None:
        """Print a line that stays."""
        if self._status is not None:
            self._status.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, ProcessFailed):
            self.say(f"{event.key}: {event.status}: {event.message}")
        elif isinstance(event, TurnRepeated):
            self.say(f"{event.key}: {_disturbance(event)}: once more")
        elif isinstance(event, GenerationStarted):
            self._now(
                f"generation {event.number}: starting {_count(len(event.keys), 'process', 'es')}",
                force=True,
            )
        elif isinstance(event, Preparing):
            done = _BAR * event.done // max(event.total, 1)
            bar = f"[{'#' * done}{'.' * (_BAR - done)}] " if self._status is not None else ""
            self._now(f"making data in {event.path}: {bar}{event.done} of {event.total}")
        elif isinstance(event, GenerationDone):
            self._costs_s.append(event.cost_s)
            self._last_done = time.monotonic()
        elif isinstance(event, Trying):
            self._now(f"trying batch {event.batch_size}")
        elif isinstance(event, Tried):
            how = "fits" if event.fits else "does not fit"
            what = "a whole generation" if event.rehearsal else "a few steps"
            took = units.seconds(event.took_s)
            self.say(f"batch {event.batch_size} {how} ({what}, {took})")
        elif isinstance(event, Doing):
            of = f" {event.done} of {event.total}" if event.total else ""
            self._now(f"generation {event.generation}: {event.key}: {event.what}{of}")

    def _now(self, text: str, *, force: bool = False) -> None:
        if self._status is not None:
            from rich.markup import escape

            self._status.update(escape(f"{text}{self._eta()}"))
        elif force or time.monotonic() - self._last_line >= _EVERY_S:
            self._last_line = time.monotonic()
            print(f"{text}{self._eta()}", file=sys.stderr, flush=True)

    def _eta(self) -> str:
        spent_s = time.monotonic() - self._began
        if self._budget_s is not None:
            return f" (at most {max(0.0, self._budget_s - spent_s):.0f} s left)"
        if self._generations is None or not self._costs_s:
            return f" ({spent_s:.0f} s so far)"
        left = self._generations - len(self._costs_s)
        expected_s = left * sum(self._costs_s) / len(self._costs_s)
        running_s = time.monotonic() - self._last_done
        return f" (about {max(0.0, expected_s - running_s):.0f} s left)"


def _disturbance(event: TurnRepeated) -> str:
    if event.throttled:
        return "the GPU slowed itself down"
    if event.foreign_gpu_share:
        return f"somebody else used the GPU for {units.share(event.foreign_gpu_share)} of it"
    return f"somebody else used {units.seconds(event.foreign_cpu_s)} of CPU beside it"


def _count(number: int, noun: str, plural: str) -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"
