"""Replacing a file whole: whoever reads it sees the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

import platformdirs

from perfkit.errors import PerfkitError


def write_text(path: Path, text: str) -> None:
    """Replace a text file in one step, in UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step; readers see the old content or the new, never a part.

    Raises:
        PerfkitError: the file cannot be written (no space, no permission).
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        hint = "free some space or name another place" if error.errno == errno.ENOSPC else None
        raise PerfkitError(f"cannot write {path}: {error.strerror or error}", hint=hint) from error


def cache_dir() -> Path:
    """Where generated data lives: `PERFKIT_CACHE_DIR`, or `perfkit` in the user's cache folder."""
    named = os.environ.get("PERFKIT_CACHE_DIR")
    if named:
        return Path(named).expanduser().resolve()
    found = platformdirs.user_cache_path("perfkit", appauthor=False)
    # a relative XDG_CACHE_HOME is to be ignored, by its specification; platformdirs did not until 4.14
    return found if found.is_absolute() else Path.home() / ".cache" / "perfkit"
