"""Logs of JSON lines: appended to line by line, readable while they grow and after any death."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perfkit.codec import json_text
from perfkit.errors import DamagedFile

_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)


class JsonLines:
    """An append-only file of JSON objects, one a line, each on disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begun = False

    def append(self, item: dict[str, Any]) -> None:
        """Add one object in a single write, so that two writers cannot mix their lines.

        The first one takes away a torn last line that a death left: no reader would see past it.

        Raises:
            OSError: the line cannot be written, or not whole; then nothing of it stays.
        """
        line = (json_text(item) + "\n").encode()
        handle = os.open(self.path, _APPEND, 0o644)
        try:
            if not self._begun:
                _drop_torn_line(handle)
                self._begun = True
            written = os.write(handle, line)
            if written < len(line):
                os.ftruncate(handle, os.lseek(handle, 0, os.SEEK_CUR) - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        finally:
            os.close(handle)

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield the objects; a torn last line is dropped, a missing file has none.

        Raises:
            DamagedFile: a line before the last is not a JSON object.
        """
        if not self.path.exists():
            return
        lines = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines[:-1], start=1):
            try:
                item = json.loads(line)
            except ValueError:
                item = None
            if not isinstance(item, dict):
                raise DamagedFile(f"{self.path}, line {number}: not a JSON object")
            yield item


def _drop_torn_line(handle: int) -> None:
    size = os.lseek(handle, 0, os.SEEK_END)
    if size == 0:
        return
    os.lseek(handle, -1, os.SEEK_END)
    if os.read(handle, 1) != b"\n":
        os.lseek(handle, 0, os.SEEK_SET)
        os.ftruncate(handle, os.read(handle, size).rfind(b"\n") + 1)
