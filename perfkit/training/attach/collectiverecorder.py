"""Collectives of a loop as spans: those with nothing between them are one."""

from __future__ import annotations

from pathlib import Path

from perfkit.records import COLLECTIVE, SpanRecord
from perfkit.training.probe.recorder import Recorder


class CollectiveRecorder(Recorder):
    """A recorder that is told of collectives.

    Args:
        path: file to make; see `Recorder`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._collectives: SpanRecord | None = None
        self._collective_ns = -1  # when the last one ended

    def before_collective(self) -> None:
        """The loop calls one; those with nothing between them are one span."""
        if self._since_ns != self._collective_ns:
            self._keep_collectives()
        self.enter(COLLECTIVE)

    def after_collective(self) -> None:
        """It has returned."""
        if COLLECTIVE in self._stack:
            self.leave(COLLECTIVE)
            self._collective_ns = self._since_ns

    def _end_span(self, phase: int, now: int) -> None:
        if phase != COLLECTIVE:
            super()._end_span(phase, now)
            return
        start_ns = self._files.drop_span()
        before, spent_s = self._collectives, (now - start_ns) * 1e-9
        if before is None:
            before = SpanRecord(phase, self.steps, start_ns, 0.0, 0.0)
        sum_s = before.span_s + spent_s
        self._collectives = before._replace(span_s=sum_s, own_s=sum_s)

    def _keep_collectives(self) -> None:
        if self._collectives is not None:
            self._files.add_span(self._collectives)
            self._collectives = None

    def _write(self) -> None:
        self._keep_collectives()
        super()._write()
