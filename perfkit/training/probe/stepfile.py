"""The file of step records: appended to by one writer in large pieces, readable at any time."""

from __future__ import annotations

import os
from pathlib import Path

from perfkit.records import STEPS, StepRecord

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)


class StepFile:
    """A record file of its own for one process.

    Args:
        path: file to make.

    Raises:
        FileExistsError: there is such a file already: measurements are not overwritten.
        OSError: it cannot be written. `write` and `close` raise it too: what was
            written stays readable, what was not is kept for the next of these calls.
    """

    def __init__(self, path: Path) -> None:
        self._buffer = bytearray(STEPS.header)
        self._file = os.open(path, _NEW_FILE, 0o644)
        try:
            self.write()
        except OSError:
            os.close(self._file)
            raise

    def add(self, record: StepRecord) -> None:
        """Append a record, in memory for now."""
        self._buffer += STEPS.pack(record)

    def write(self) -> None:
        """Put everything into the file."""
        buffer = self._buffer
        while buffer:
            written = os.write(self._file, buffer)  # a disk that fills up takes only a part
            del buffer[:written]

    def close(self) -> None:
        """Write and close; closing again does nothing."""
        if self._file < 0:
            return
        try:
            self.write()
        finally:
            os.close(self._file)
            self._file = -1
