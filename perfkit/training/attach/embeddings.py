"""Embeddings that get a gradient for every row, though a batch touches few of them.

Forward, and the gradient of what was looked up, go by the batch; the gradient of the table, and its update by
the optimizer, go by all its rows (`torch.nn.Embedding`, `sparse`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

LEAST_ELEMENTS = 1_000_000
"""Adam reads and writes some 28 bytes for each in a step."""
MOST_TOUCHED = 0.1
"""Part of the rows; a larger one has nothing to save."""
LEAST_PART = 0.5
"""Of all weights that learn; where the others are more, it is their update that takes the time."""


class Tables(NamedTuple):
    """Rows of tables that are not sparse."""

    rows: int
    touched: int
    """By the batch, at most: a row that is looked up twice is counted twice."""


def dense_tables(nodes: Iterable[Any]) -> Tables | None:
    """Return what is to be said of the tables behind a loss; None where they are few of its weights.

    Args:
        nodes: of autograd's graph, before a backward. A table that something else uses too, as an output
            layer that is tied to it does, gets dense gradients whatever it is told.
    """
    weights: dict[Any, Any] = {}
    lookups: Counter[Any] = Counter()
    uses: Counter[Any] = Counter()
    touched: Counter[Any] = Counter()
    for node in nodes:
        variable = getattr(node, "variable", None)
        if variable is not None:
            weights[node] = variable
        found = [following for following, _ in node.next_functions if following is not None]
        uses.update(found)
        indices = getattr(node, "_saved_indices", None)
        if found and indices is not None and getattr(node, "_saved_sparse", True) is False:
            lookups[found[0]] += 1
            touched[found[0]] += indices.numel()
    tables = [
        weights[table]
        for table, times in lookups.items()
        if table in weights and weights[table].numel() >= LEAST_ELEMENTS and uses[table] == times
    ]
    rows = sum(table.shape[0] for table in tables)
    elements = sum(table.numel() for table in tables)
    if not tables or elements < LEAST_PART * sum(one.numel() for one in weights.values()):
        return None
    seen = sum(touched.values())
    return Tables(rows, seen) if seen <= MOST_TOUCHED * rows else None
