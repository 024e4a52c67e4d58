"""What a loss knows of the operators that it came from: how many there are, and what its embeddings look up.

They are counted once, when a backward begins, and a chain of small ones is timed: the price that
`perfkit.training.dispatching` has, of one forward and backward.
"""

from __future__ import annotations

from typing import Any

import torch

from perfkit.training.attach.embeddings import dense_tables
from perfkit.training.attach.folder import ProcessFolder
from perfkit.training.attach.padding import LEAST_SHARE, Counted, Padding, of_mask, tokens_of
from perfkit.training.attach.precision import graph, loss_of
from perfkit.training.dispatching import CHAIN, chain_s

AT_STEP = 32
"""Caches are warm, and what is compiled has been."""
ROUNDS = 3
MOST_OPERATORS = 20_000
"""One takes about a microsecond to count."""


class Launching:
    """What launching a step takes, told once. On a GPU the device's own clock tells that better."""

    def __init__(self) -> None:
        self._written = False
        self._padding: Counted | None = None
        self._masked = False  # a batch has told what of it is padding

    @property
    def is_known(self) -> bool:
        """Whether it has been told."""
        return self._written and self._padding is None

    def backward(
        self, folder: ProcessFolder, trained: int, args: Any, kwargs: dict[str, Any]
    ) -> None:
        """A backward begins, with what it was called with, after so many steps."""
        if self._padding is not None:
            self._tell_padding(folder, self._padding)
        if self._written or trained < AT_STEP:
            return
        self._written = True
        loss = loss_of(args, kwargs)
        tables = dense_tables(graph(loss.grad_fn, MOST_OPERATORS))
        if tables is not None:
            text = (
                f"embeddings of {tables.rows:,} rows get a gradient for each row, though a batch touches"
                f" {tables.touched:,} at most"
            )
            folder.event("fact", code="dense_embedding", value=tables._asdict(), text=text)
        tokens = None if self._masked else tokens_of(graph(loss.grad_fn, MOST_OPERATORS))
        if tokens is not None:
            self._tell_padding(folder, Counted(tokens))
        if loss.device.type == "cpu":
            seconds = min(chain_s(loss.device) for _ in range(ROUNDS)) / CHAIN
            folder.event("launching", operators=operators_of(loss), operator_s=seconds)

    def batch(self, folder: ProcessFolder, batch: Any) -> None:
        """The loop has a batch, some steps after the first."""
        found = of_mask(batch)
        if found is not None:
            self._masked = True
            _write_padding(folder, found)

    def _tell_padding(self, folder: ProcessFolder, counted: Counted) -> None:
        """Tell it, or later, where the device has not counted yet."""
        found = counted.read()
        self._padding = counted if found is None else None
        if found is not None:
            _write_padding(folder, found)


def _write_padding(folder: ProcessFolder, found: Padding) -> None:
    """Tell it if it is much."""
    share = found.padded / (found.rows * found.positions)
    if share < LEAST_SHARE:
        return
    text = (
        f"{100 * share:.0f} % of the tokens in a batch are padding: its longest text has"
        f" {found.positions - found.spare} of {found.positions} positions"
    )
    folder.event("fact", code="padding", value=found._asdict(), text=text)


def operators_of(loss: torch.Tensor) -> int:
    """Return the operators that a loss came from, those that only collect gradients left out."""
    nodes = graph(loss.grad_fn, MOST_OPERATORS)
    return sum(getattr(node, "variable", None) is None for node in nodes)
