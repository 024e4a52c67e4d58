"""Padding in a batch of tokens: positions that are looked up, computed and then ignored.

Read from the `attention_mask` of a batch, as tokenizers give it, else from what the largest embedding of a
loss was asked for: where most rows end, or begin, with one same token over and over, that token is padding.
How often, is counted where the tokens are, and read once the device has done it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch

LEAST_SHARE = 0.3
"""Of the positions of a batch."""
LEAST_POSITIONS = 16
"""In a row; shorter ones are features, not texts."""
LEAST_ROWS = 2


class Padding(NamedTuple):
    """Of one batch."""

    rows: int
    positions: int
    """In a row."""
    padded: int
    """Positions that are padding, in all rows together."""
    spare: int
    """Positions that are padding in every row: what its longest row does not need."""


def of_mask(batch: Any) -> Padding | None:
    """Return what a batch on the host says itself; None where it has no mask of rows × positions."""
    mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
    if not isinstance(mask, torch.Tensor) or mask.device.type != "cpu" or not _is_text(mask):
        return None
    padded = (mask == 0).sum(1)
    rows, positions = mask.shape
    return Padding(rows, positions, int(padded.sum()), int(padded.min()))


class Counted:
    """A batch whose padding is counted, on a device that may not have come to it yet.

    Args:
        tokens: integers, of shape rows × positions.
    """

    def __init__(self, tokens: torch.Tensor) -> None:
        self._shape = tokens.shape
        ends = torch.stack([_of_end(tokens), _of_end(tokens.flip(1))])
        self._counts = ends.to("cpu", non_blocking=True)
        self._done: Any = None
        if tokens.is_cuda:
            self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._done.record()

    def read(self) -> Padding | None:
        """Return it; None where the device has not counted yet."""
        if self._done is not None and (_capturing() or not self._done.query()):
            return None
        padded, spare = max(self._counts.tolist())
        return Padding(self._shape[0], self._shape[1], padded, spare)


def tokens_of(nodes: Iterable[Any]) -> torch.Tensor | None:
    """Return what the embedding with the most rows was asked for; None where that is no batch of texts.

    Args:
        nodes: of autograd's graph, before a backward.
    """
    largest, tokens = 0, None
    for node in nodes:
        indices = getattr(node, "_saved_indices", None)
        if not isinstance(indices, torch.Tensor):
            continue
        table = getattr(node.next_functions[0][0], "variable", None)
        if table is not None and len(table) > largest:
            largest, tokens = len(table), indices
    if tokens is None or tokens.device.type not in ("cpu", "cuda"):
        return None
    if tokens.is_cuda and _capturing():
        return None
    return tokens.detach() if _is_text(tokens) else None


def _is_text(tokens: torch.Tensor) -> bool:
    return tokens.dim() == 2 and len(tokens) >= LEAST_ROWS and tokens.shape[1] >= LEAST_POSITIONS


def _capturing() -> bool:
    """Whether what is given to the device becomes part of a graph, which asking would spoil."""
    return torch.cuda.is_current_stream_capturing()


def _of_end(tokens: torch.Tensor) -> torch.Tensor:
    """Return how many positions at the ends of rows are padding, in all and in every row."""
    # what most rows end with is the median of what they end with
    runs = (tokens == tokens[:, -1].median()).flip(1).long().cumprod(1).sum(1)
    # a row of nothing else is no text: token types, say
    runs = torch.where(runs == tokens.shape[1], 0, runs)
    return torch.stack([runs.sum(), runs.min()])
