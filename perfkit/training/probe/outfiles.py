"""What a recorder writes: its steps and spans, when, and what becomes of the files in a forked child."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from perfkit.records import SPANS, STEPS, SpanRecord, StepRecord
from perfkit.training.probe.recordfile import RecordFile

WRITE_EVERY = 64
"""Steps that are worked up and written together. One at a time each would find its code and data
driven out of the caches by the training step before: 20 µs instead of 3, measured on a 3 ms step."""
WRITE_EVERY_NS = 500_000_000
"""While steps go on, a record waits no longer than this, and for the device: what a kill loses."""


class OutFiles:
    """The two files of a recorder. Writing never raises: the first error ends it.

    Args:
        path: file of the steps, to make now; spans go beside it, into `spans.bin`.

    Raises:
        FileExistsError: there is such a file already: measurements are not overwritten.
        OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.failure: OSError | None = None
        """Why nothing is written any more; None while all is well."""
        self.at_step = 0
        """Write once so many steps have ended,"""
        self.at_ns = 0
        """or once it is so late."""
        self._path = path
        self.steps: RecordFile[StepRecord] = RecordFile(path, STEPS)
        self._spans: RecordFile[SpanRecord] = RecordFile(
            path.with_name("spans.bin"), SPANS, at_once=False
        )
        self._open: list[tuple[int, int]] = []  # (start, time in spans inside it)

    def put_off(self, steps: int, now_ns: int) -> None:
        """Write next after `WRITE_EVERY` more steps, or `WRITE_EVERY_NS`."""
        self.at_step = steps + WRITE_EVERY
        self.at_ns = now_ns + WRITE_EVERY_NS

    def begin_span(self, now_ns: int) -> None:
        """A phase that is not a step's own begins."""
        self._open.append((now_ns, 0))

    def end_span(self, phase: int, step: int, now_ns: int) -> None:
        """The one that began last ends, before a step ends that has this index."""
        start_ns, inside_ns = self._open.pop()
        span_ns = now_ns - start_ns
        if self._open:
            outer_ns, others_ns = self._open[-1]
            self._open[-1] = (outer_ns, others_ns + span_ns)
        own_ns = span_ns - inside_ns
        self.add_span(SpanRecord(phase, step, start_ns, span_ns * 1e-9, own_ns * 1e-9))

    def drop_span(self) -> int:
        """Take back the one that began last, as if it were a part of the one round it; returns its start."""
        return self._open.pop()[0]

    def add_span(self, span: SpanRecord) -> None:
        self._spans.add(span)

    def write(self) -> None:
        """Put everything into the files."""
        try:
            self.steps.write()
            self._spans.write()
        except OSError as error:
            self._fail(error)

    def stop(self) -> None:
        """Close without writing; what is added from now on is dropped."""
        self.steps.stop()
        self._spans.stop()

    def move_to_child(self) -> None:
        """In a forked child that trains: go on in files of its own beside the parent's."""
        pid = os.getpid()
        self._path = self._path.with_name(f"{self._path.stem}-{pid}{self._path.suffix}")
        self._open = []
        try:
            self.steps = RecordFile(self._path, STEPS)
        except OSError as error:
            self._fail(error)
        self._spans = RecordFile(self._path.with_name(f"spans-{pid}.bin"), SPANS, at_once=False)

    def _fail(self, error: OSError) -> None:
        self.failure = error
        self.stop()
        with contextlib.suppress(OSError):
            sys.stderr.write(f"perfkit: steps are no longer recorded: {error}\n")
