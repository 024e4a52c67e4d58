"""Files of fixed-size records: appended to by one writer in large pieces, readable at any time."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Generic, TypeVar

from perfkit.records import RecordFormat

R = TypeVar("R", bound=tuple[object, ...])

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)


class RecordFile(Generic[R]):
    """A record file of its own for one process.

    Args:
        path: file to make.
        kind: of its records.
        at_once: make it now; else with the first write that has a record.

    Raises:
        FileExistsError: there is such a file already: measurements are not overwritten.
        OSError: it cannot be written. `write` and `close` raise it too: what was
            written stays readable, what was not is kept for the next of these calls.
    """

    def __init__(self, path: Path, kind: RecordFormat[R], *, at_once: bool = True) -> None:
        self._path = path
        self._kind = kind
        self._buffer = bytearray()
        self._file: int | None = None
        self._stopped = False
        if at_once:
            self._make()

    def add(self, record: R) -> None:
        """Append a record, in memory for now."""
        if not self._stopped:
            self._buffer += self._kind.pack(record)

    def add_columns(self, columns: Iterable[Iterable[object]]) -> None:
        """Append many records; see `RecordFormat.pack_columns`."""
        if not self._stopped:
            self._buffer += self._kind.pack_columns(columns)

    def write(self) -> None:
        """Put everything into the file."""
        buffer = self._buffer
        if self._file is None and buffer:
            self._make()
        while buffer and self._file is not None:
            written = os.write(self._file, buffer)  # a disk that fills up takes only a part
            del buffer[:written]

    def close(self) -> None:
        """Write and close; closing again does nothing."""
        try:
            self.write()
        finally:
            self.stop()

    def stop(self) -> None:
        """Close without writing; what is added from now on is dropped."""
        self._stopped = True
        self._buffer.clear()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _make(self) -> None:
        self._file = os.open(self._path, _NEW_FILE, 0o644)
        self._buffer[:0] = self._kind.header
        try:
            self.write()
        except OSError:
            os.close(self._file)
            self._file = None
            raise
