"""Watching what is timed: somebody else's load beside it, a GPU that slows itself down, and once more."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from perfkit.engine.events import Event, TurnRepeated
from perfkit.telemetry import foreign
from perfkit.telemetry.gpu import GpuGauge

MOST_REPEATS = 2
"""How often something disturbed is run again before it counts as it is, flagged."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What was seen beside something timed."""

    foreign_cpu_s: float | None = None
    """CPU seconds of others; None where they cannot be read."""
    disturbed: bool = False
    """Somebody else's load can have slowed it."""
    throttled: bool = False
    """The GPU slowed itself down."""


class Watch:
    """Times something again while it is disturbed and there is time to spare.

    Args:
        spare_s: what repeats may take in all.
        emit: gets an event for each.
    """

    def __init__(
        self, gauge: foreign.Gauge, gpu: GpuGauge, *, spare_s: float, emit: Callable[[Event], None]
    ) -> None:
        self._gauge = gauge
        self._gpu = gpu
        self._spare_s = spare_s
        self._emit = emit
        self._clock_hz: dict[int, float] = {}
        """By process, the highest clock at the end of something timed."""

    def timed(
        self, key: str, pid: int, ours: Collection[int], once: Callable[[], dict[str, Any]]
    ) -> tuple[dict[str, Any], Watched]:
        """Do it, and again if need be.

        Args:
            key: of the row, for the events.
            pid: of the process that does it, whose group is measured.
            ours: groups of all processes of ours.
            once: returns the answer; an empty one is not judged.

        Returns:
            The last answer, and what was seen beside it.
        """
        for repeat in range(MOST_REPEATS + 1):
            before = self._gauge.snapshot(groups=[pid])
            self._gpu.begin()
            reply = once()
            use = self._gpu.end(ours)
            after = self._gauge.snapshot(groups=[pid])
            if not reply:
                return reply, Watched()
            foreign_s, disturbed = _judged(before, after)
            clock_hz = max(self._clock_hz.get(pid, 0.0), use.sm_clock_hz or 0.0)
            self._clock_hz[pid] = clock_hz
            seen = Watched(
                foreign_cpu_s=foreign_s,
                disturbed=disturbed or use.shared(),
                throttled=use.throttled(clock_hz),
            )
            wall_s = (after.t_ns - before.t_ns) * 1e-9
            quiet = not seen.disturbed and not seen.throttled
            if quiet or repeat == MOST_REPEATS or self._spare_s < wall_s:
                break
            self._spare_s -= wall_s
            shared = use.foreign_share or 0.0 if use.shared() else 0.0
            self._emit(TurnRepeated(key, foreign_s or 0.0, shared, seen.throttled))
        return reply, seen


def _judged(before: foreign.HostSnapshot, after: foreign.HostSnapshot) -> tuple[float | None, bool]:
    """Foreign CPU seconds of a block (None where they cannot be read), and whether they disturbed it."""
    foreign_s, own_s = foreign.foreign_cpu_s(before, after), foreign.own_cpu_s(before, after)
    if foreign_s is None or own_s is None:
        return None, False
    wall_s = (after.t_ns - before.t_ns) * 1e-9
    return foreign_s, foreign.disturbed(foreign_s, own_s, wall_s, after.cores)
