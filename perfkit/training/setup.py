"""Building one training from its RunConfig: workload, variants in their order, loader."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from perfkit import discovery, variants
from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.training.failures import CannotRun
from perfkit.training.probe.device import device_info
from perfkit.training.probe.memory import keep_freed_memory, limit_memory
from perfkit.training.workload import Workload

_NEEDED = {
    "model": "it should be a torch.nn.Module",
    "loss": "it should be a function of (outputs, targets) that returns a scalar tensor",
    "optimizer": "it should make one from the parameters: partial(torch.optim.AdamW, lr=1e-3)",
}


class Training:
    """A workload on its device with its variants applied: everything a step needs but the batches.

    Satisfies `perfkit.variants.Training`, which says what the fields are.

    Raises:
        CannotRun: the device does not support a variant, or the parallel mode is not built.
        UsageError: the workload's file is not there or breaks its contract.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.device = torch.device(config.device)
        _refuse_what_cannot_run(config)
        if config.memory_limit_bytes is not None:
            limit_memory(self.device, config.memory_limit_bytes)
        self._keeps_memory = config.malloc == "keep" and keep_freed_memory()
        torch.set_num_threads(config.num_threads)
        torch.manual_seed(config.seed)
        self.workload = make_workload(config)
        self.model: nn.Module = self.workload.model.to(self.device).train()
        self.loss: Any = self.workload.loss
        if isinstance(self.loss, nn.Module):
            self.loss.to(self.device)
        self.optimizer: Any = self.workload.optimizer(self.parameters())
        self.autocast_dtype: torch.dtype | None = None
        self.scaler: Any = None
        self.memory_format: torch.memory_format | None = None
        self.step_model: Any = self.model
        for name, value in variants.in_order(config.variants):
            variants.get(name).apply(self, value)

    def parameters(self) -> list[nn.Parameter]:
        """Parameters of the model and of the loss, if it has any."""
        of_loss = self.loss.parameters() if isinstance(self.loss, nn.Module) else ()
        return list(chain(self.model.parameters(), of_loss))

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The precision that forward and loss run in."""
        if self.autocast_dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)

    def to_device(self, batch: Any) -> Any:
        """Move every tensor of a batch to the device, 4-D ones in the model's memory format."""
        if isinstance(batch, torch.Tensor):
            layout = self.memory_format if batch.dim() == 4 else None
            layout = layout or torch.preserve_format
            return batch.to(self.device, non_blocking=self.config.pin_memory, memory_format=layout)
        if isinstance(batch, (list, tuple)):
            moved = [self.to_device(part) for part in batch]
            return type(batch)(*moved) if hasattr(batch, "_fields") else type(batch)(moved)
        if isinstance(batch, dict):
            return {key: self.to_device(part) for key, part in batch.items()}
        return batch

    def effective(self) -> dict[str, str]:
        """What torch says is in force, by the variants that were applied."""
        found = {"malloc": "keep" if self._keeps_memory else "default"}
        for name, _ in self.config.variants:
            found |= variants.get(name).read_back(self)
        return found


class BatchOrder(Sampler[list[int]]):
    """Batches of indices: whole epochs, each in an order of its own that only the seed decides.

    With `batches` None it never ends, so that blocks are steps of one long epoch; a number ends the
    pass after that many. It is read when an iteration begins.
    """

    def __init__(self, config: RunConfig) -> None:
        self._samples = config.num_samples
        self._size = min(config.batch_size, config.num_samples)
        self._generator = torch.Generator().manual_seed(config.seed)
        self.batches: int | None = None

    def __iter__(self) -> Iterator[list[int]]:
        left = self.batches
        order: list[int] = []
        while left is None or left > 0:
            if len(order) < self._size:
                order += torch.randperm(self._samples, generator=self._generator).tolist()
            batch, order = order[: self._size], order[self._size :]
            left = None if left is None else left - 1
            yield batch


class ShuffledEpoch(Sampler[list[int]]):
    """Every sample of an epoch once, shuffled anew each time, in batches; the last may be partial.

    A number in `batches` ends the pass after that many. It is read when an iteration begins.
    """

    def __init__(self, config: RunConfig) -> None:
        self._samples = config.num_samples
        self._size = config.batch_size
        self.batches: int | None = None

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(self._samples).tolist()
        for start in range(0, self._samples, self._size)[: self.batches]:
            yield order[start : start + self._size]


def make_workload(config: RunConfig) -> Workload:
    """Call the factory of the workload that the configuration names.

    Raises:
        UsageError: there is none, or what it makes is not a Workload that can be trained.
    """
    module, name = discovery.load_workload(config.arch)
    factory = getattr(module, name, None)
    if not callable(factory):
        raise UsageError(
            f"workload {config.arch}: {module.__file__} has no function {name}",
            hint=f"define `def {name}(config): return Workload(...)`",
        )
    workload = factory(config)
    if not isinstance(workload, Workload):
        raise UsageError(
            f"workload {config.arch}: {name} gave a {type(workload).__name__}, not a Workload",
            hint="return perfkit.training.workload.Workload(model=…, loss=…, optimizer=…, dataset=…)",
        )
    for what, part, kind in (
        ("model", workload.model, nn.Module),
        ("loss", workload.loss, Callable),
        ("optimizer", workload.optimizer, Callable),
    ):
        if not isinstance(part, kind):  # type: ignore[arg-type]
            raise UsageError(
                f"workload {config.arch}: its {what} is a {type(part).__name__}", hint=_NEEDED[what]
            )
    return _sized(config, workload)


def _sized(config: RunConfig, workload: Workload) -> Workload:
    try:
        if isinstance(workload.dataset, IterableDataset):
            raise TypeError("it is an IterableDataset")
        length = len(workload.dataset)  # type: ignore[arg-type]
    except TypeError as error:
        raise UsageError(
            f"workload {config.arch}: its dataset is not map-style: {error}",
            hint="it should have __len__ and __getitem__",
        ) from error
    if length < 1:
        raise UsageError(f"workload {config.arch}: its dataset is empty")
    return workload


def make_loader(
    config: RunConfig,
    workload: Workload,
    order: Sampler[list[int]] | None,
    dataset: Dataset[Any] | None = None,
) -> DataLoader[Any]:
    """Make a DataLoader with the settings of the configuration.

    Args:
        order: draws the batches of the training set; None reads `dataset` once, in order.
        dataset: the data; None for the workload's training set.
    """
    workers = config.num_workers
    settings: dict[str, Any] = {
        "num_workers": workers,
        "pin_memory": config.pin_memory and config.device.startswith("cuda"),
        "collate_fn": workload.collate,
        "generator": torch.Generator().manual_seed(config.seed),
    }
    if workers:
        settings["prefetch_factor"] = config.prefetch_factor
    if order is not None:
        settings["persistent_workers"] = config.persistent_workers and workers > 0
        return DataLoader(dataset or workload.dataset, batch_sampler=order, **settings)
    return DataLoader(dataset or workload.dataset, batch_size=config.batch_size, **settings)


def _refuse_what_cannot_run(config: RunConfig) -> None:
    if config.parallel != "none":
        raise CannotRun(
            f"parallel={config.parallel} is not built yet: this version trains on one device"
        )
    info = device_info(config.device)
    for name, _ in config.variants:
        refusal = variants.get(name).supported(info)
        if refusal is not None:
            raise CannotRun(refusal.reason)
