"""The optimizers of a script, each told of once."""

from __future__ import annotations

import weakref
from typing import Any


class Optimizers:
    """Every optimizer that has made an update."""

    def __init__(self) -> None:
        self.count = 0
        self._known: dict[int, weakref.ref[Any]] = {}

    def find(self, optimizer: Any) -> dict[str, Any] | None:
        """Return the description of an optimizer that is new, else None."""
        known = self._known.get(id(optimizer))
        if known is not None and known() is optimizer:
            return None
        self._known[id(optimizer)] = weakref.ref(optimizer)
        self.count += 1
        groups = getattr(optimizer, "param_groups", None) or []
        return {
            "optimizer": self.count - 1,
            "kind": type(optimizer).__name__,
            "groups": len(groups),
            "fused": groups[0].get("fused") if groups else None,
        }
