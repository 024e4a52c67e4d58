"""Documents on disk: as text and back, of every version that there was.

`perfkit.document` has the types and the history of the format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from perfkit.codec import from_json, json_text, to_json
from perfkit.document import SCHEMA_VERSION, Document
from perfkit.errors import DamagedFile, LaterVersion, UsageError
from perfkit.files import write_text

_STORED_TWICE = {
    "memory": ("peak_allocated_bytes", "peak_reserved_bytes", "peak_rss_bytes"),
    "telemetry": ("gpu_util_share",),
}
"""Until version 3: what a mapping of a row held beside the row's own field of that name."""


def dumps(document: Document) -> str:
    """Return the Document as indented JSON text with a final newline."""
    return json_text(to_json(document), indent=2) + "\n"


def loads(text: str, *, name: str = "the document") -> Document:
    """Rebuild a Document from its JSON text; one of an earlier version becomes one of this.

    Raises:
        LaterVersion: a later perfkit wrote it.
        DamagedFile: it is not JSON, or not a Document; the message says where.
    """
    try:
        data = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"{name} is not JSON: {error}") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DamagedFile(f"{name} is not a perfkit document: it has no schema_version")
    if version > SCHEMA_VERSION:
        raise LaterVersion(
            f"{name} has schema_version {version}; this perfkit reads up to {SCHEMA_VERSION}",
            hint="read it with the perfkit that wrote it, or a later one",
        )
    try:
        return from_json(Document, _of_now(data, version))
    except DamagedFile as error:
        raise DamagedFile(f"{name}: {error.message}") from error


def read(path: Path) -> Document:
    """Read a Document from a file; see `loads` for what is raised.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
    return loads(text, name=str(path))


def write(document: Document, path: Path) -> None:
    """Write a Document so that the file is always whole: the old one or the new one.

    Raises:
        PerfkitError: the file cannot be written (no space, no permission).
    """
    write_text(path, dumps(document))


def _of_now(data: dict[str, Any], version: int) -> dict[str, Any]:
    """Bring what a file holds into this version; what is damaged is left for the codec to name."""
    if version == 1:
        # nothing but null was ever written there, and whatever else is there is not ours
        data["diagnosis"] = None
    rows = data.get("rows")
    if version < 3 and isinstance(rows, list):
        for row in rows:
            _hold_once(row)
    return data | {"schema_version": SCHEMA_VERSION}


def _hold_once(row: Any) -> None:
    for place, names in _STORED_TWICE.items():
        held = row.get(place) if isinstance(row, dict) else None
        if not isinstance(held, dict):
            continue
        for name in names:
            value = held.pop(name, None)
            if row.get(name) is None:
                row[name] = value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")
