"""Texts that are kept to be held against."""

from __future__ import annotations

import os
from pathlib import Path


def golden(path: Path, text: str) -> str:
    """Return what is kept at `path`: with PERFKIT_WRITE_GOLDEN=1 that is `text` from now on."""
    if os.environ.get("PERFKIT_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")
