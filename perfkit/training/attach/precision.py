"""The precision that a script computes in, as its first losses and updates show it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import torch

from perfkit.training.attach.folder import ProcessFolder
from perfkit.training.attach.process import device

_HALVES = {torch.bfloat16: "bf16", torch.float16: "fp16"}
_MOST_NODES = 2000


class Precision:
    """What is known of it, told once."""

    def __init__(self) -> None:
        self._of_loss: tuple[str | None, str] | None = None
        self._updated = self._scales = self._written = False

    @property
    def is_known(self) -> bool:
        """Whether there is no more to be seen."""
        return self._of_loss is not None and self._updated

    def backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A backward begins, with what it was called with."""
        if self._of_loss is None:
            self._of_loss = of_loss(loss_of(args, kwargs))

    def update(self) -> None:
        """An update begins."""
        if not self._updated:
            self._updated = True
            self._scales = scales_gradients()

    def write(self, folder: ProcessFolder) -> None:
        """Tell of it, if it has not been told."""
        if self._written:
            return
        self._written = True
        autocast, where = self._of_loss or (None, device())
        folder.event("precision", autocast=autocast, grad_scaler=self._scales, device=where)


def loss_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    """Return the first tensor that backward was called with."""
    tensors = args[0] if args else kwargs["tensors"]
    found: torch.Tensor = tensors if isinstance(tensors, torch.Tensor) else next(iter(tensors))
    return found


def of_loss(loss: torch.Tensor) -> tuple[str | None, str]:
    """Return the 16-bit type that autocast computed a loss in, None where it did not, and the loss's device.

    Autocast has mostly been left when backward begins, but the graph of a loss whose weights are FP32
    tells of its operators.
    """
    kind = loss.device.type
    if torch.is_autocast_enabled(kind):
        return _HALVES.get(torch.get_autocast_dtype(kind)), str(loss.device)
    half, full_weights = None, False
    for node in graph(loss.grad_fn, _MOST_NODES):
        weight = getattr(node, "variable", None)
        if weight is not None:
            full_weights = full_weights or weight.dtype == torch.float32
            continue
        for about in getattr(node, "_input_metadata", ()):
            half = half or _HALVES.get(about.dtype)
    return half if full_weights else None, str(loss.device)


def scales_gradients() -> bool:
    """Whether a gradient scaler made the update that runs."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        if frame.f_code.co_filename.endswith("grad_scaler.py"):
            return True
        frame = frame.f_back
    return False


def graph(root: Any, most: int) -> Iterator[Any]:
    """Give the nodes below one of autograd's, itself among them, each once and no more than `most`."""
    waiting: list[Any] = [root]
    seen: set[Any] = set()
    while waiting and len(seen) < most:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting += [following for following, _ in node.next_functions]
