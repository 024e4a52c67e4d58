"""What a row was set to: its variant's own, else what all rows have."""

from __future__ import annotations

from perfkit.document import Document, Row


def whole(document: Document, row: Row, name: str) -> int | None:
    """Return a setting that is a whole number, e.g. `num_workers`; None where it is not known."""
    for change in row.variant.split("+"):
        changed, _, value = change.partition("=")
        if changed == name and value.isdecimal():
            return int(value)
    shared = document.base.get(name)
    return shared if isinstance(shared, int) and not isinstance(shared, bool) else None
