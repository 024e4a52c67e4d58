"""Batches as the loader gives them: moved, taken apart and copied, but never sliced or guessed at.

What a batch is made of: tensors, objects with a `to` of their own (packed sequences, a library's batches),
and dicts, lists, tuples, named tuples and dataclasses of those. Whatever else is in it stays as it is.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import UserDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from perfkit.errors import UsageError


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return a value with `change` made to its tensors and its objects with a `to`, in new containers."""
    if isinstance(value, Tensor) or _moves_itself(value):
        return change(value)
    if isinstance(value, (dict, UserDict)):
        # a copy and not a new one of its type: a defaultdict keeps its factory
        container: Any = copy.copy(value)
        for key, part in value.items():
            container[key] = mapped(part, change)
        return container
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(part, change) for part in value))
    if isinstance(value, (list, tuple)):
        return type(value)([mapped(part, change) for part in value])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        made: Any = copy.copy(value)
        for field in dataclasses.fields(value):
            # past a frozen class's own setter: the copy is ours
            object.__setattr__(made, field.name, mapped(getattr(value, field.name), change))
        return made
    return value


def to_device(
    batch: Any,
    device: torch.device,
    *,
    non_blocking: bool = False,
    memory_format: torch.memory_format | None = None,
) -> Any:
    """Move a batch to a device, its 4-D tensors in a memory format where one is given."""

    def move(part: Any) -> Any:
        if isinstance(part, Tensor):
            layout = memory_format if part.dim() == 4 else None
            return part.to(
                device, non_blocking=non_blocking, memory_format=layout or torch.preserve_format
            )
        if isinstance(part, PackedSequence):
            # its stub knows of no device
            return part.to(device, non_blocking=non_blocking)  # type: ignore[arg-type]
        # of a stranger's `to` only the device is known
        return part.to(device)

    return mapped(batch, move)


def copied(batch: Any) -> Any:
    """Return a copy that may be changed in place; the batch itself where it cannot be copied."""
    try:
        return copy.deepcopy(batch)
    except Exception:
        return batch


def split(batch: Any) -> tuple[Any, Any]:
    """Return the inputs and the targets of a batch.

    Raises:
        UsageError: it is no pair of them.
    """
    if isinstance(batch, (list, tuple)) and len(batch) == 2:
        return batch[0], batch[1]
    kind = type(batch).__name__
    if isinstance(batch, dict):
        kind = f"dict with the keys {', '.join(map(str, batch))}"
    elif isinstance(batch, (list, tuple)):
        kind = f"{kind} of {len(batch)}"
    raise UsageError(
        f"a batch should be (inputs, targets), and is a {kind}",
        hint="give the Workload a step(model, batch) in place of its loss, or a collate that makes pairs",
    )


def _moves_itself(value: Any) -> bool:
    return not isinstance(value, type) and callable(getattr(value, "to", None))
