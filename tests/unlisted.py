"""What a document holds that `perfkit.members` has no line for."""

from __future__ import annotations

from perfkit.document import Document
from perfkit.members import MEMBERS, NAMED_BY_USER


def unlisted(document: Document) -> set[str]:
    """Members that have no line in the list, and are not named by whoever trains."""
    return {
        f"{mapping}/{name}"
        for row in document.rows
        for mapping, known in MEMBERS.items()
        if mapping not in NAMED_BY_USER
        for name in getattr(row, mapping)
        if name not in known
    }
