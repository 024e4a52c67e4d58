"""What is trained: the contract of the files in `workloads/`, built-in or a stranger's.

A workload file has one function, `factory(config) -> Workload`. perfkit owns the loader and the loop;
the workload says what they are made of. Settings of its own it declares in `SETTINGS`, a tuple of `Setting`,
and reads as `config.workload[NAME]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from perfkit.settings import Setting as Setting


class Epoch(Protocol):
    """What an evaluation or a periodic task may use."""

    model: nn.Module
    """The model under training, on its device; the callee sets and resets `eval()` itself."""
    device: torch.device
    folder: str
    """An existing folder to write to."""
    results: dict[str, Any]
    """What the last evaluation returned; periodic tasks read it."""

    def autocast(self) -> Any:
        """A context manager: the precision the row trains in."""

    def loader(self, dataset: Dataset[Any]) -> DataLoader[Any]:
        """A loader over `dataset` in order, with the row's own loader settings."""


@dataclass(frozen=True, kw_only=True)
class Periodic:
    """Work between epochs: metrics, plots, checkpoints."""

    name: str
    """Its own among the parts of an epoch."""
    every: int
    """Epochs between two runs; 0 never."""
    run: Callable[[Epoch], None]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A model with its loss or its step, optimizer, data and periodic work, all on the CPU.

    One of two says what a step computes, a scalar tensor: `loss`, where a batch is a pair and
    `loss(model(inputs), targets)` is all there is to it, or `step`, where it is anything else. perfkit calls
    `backward` on it, then every optimizer's `step` and `zero_grad`.
    """

    model: nn.Module
    loss: Callable[[Any, Any], Tensor] | None = None
    """`loss(outputs, targets)`. May be an `nn.Module` with parameters of its own; the optimizer then holds
    those too."""
    step: Callable[[Any, Any], Tensor] | None = None
    """`step(model, batch)`, with the batch as the loader gives it, on the device: dicts, packed sequences,
    objects with a `to`. Call the model that it is given: under `compile` that is the compiled one. Parameters
    are the model's."""
    optimizer: Callable[[Any], Optimizer | Sequence[Optimizer]]
    """Makes the optimizer from the parameters, e.g. `partial(torch.optim.AdamW, lr=1e-3)`; or several, in a
    list or a tuple."""
    dataset: Dataset[Any]
    """Map-style, or a stream (`IterableDataset`) that begins anew whenever it is iterated and, with several
    workers, gives each its own part (`get_worker_info`)."""
    length: int | None = None
    """Samples of an epoch, of a stream without `__len__`."""
    collate: Callable[[list[Any]], Any] | None = None
    drop_last: bool = False
    """Leave out the last batch of an epoch where it is not full."""
    evaluate: Callable[[Epoch], Mapping[str, Any]] | None = None
    periodic: tuple[Periodic, ...] = ()
