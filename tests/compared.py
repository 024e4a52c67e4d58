"""Two documents held against each other as `perfkit compare` does it."""

from __future__ import annotations

from perfkit.comparison import Comparison
from perfkit.document import Document
from perfkit.study import gate
from perfkit.study.compare import compare


def held(old: Document, new: Document, fail_on: str | None = None) -> Comparison:
    """Compare two documents as the command does."""
    return compare(
        old,
        new,
        names=("old", "new"),
        command="perfkit compare old new",
        created="2026-01-02T00:00:00+00:00",
        gates=gate.parse(fail_on),
    )
