"""Building one training from its RunConfig: workload, variants in their order, loader."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler

from perfkit import discovery, variants
from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.training import batches, contract, lazy
from perfkit.training.failures import CannotRun
from perfkit.training.optimizers import Beginning, as_tuple
from perfkit.training.probe.device import device_info
from perfkit.training.probe.memory import keep_freed_memory, limit_memory
from perfkit.training.workload import Workload


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
        self.autocast_dtype: torch.dtype | None = None
        self.scaler: Any = None
        self.memory_format: torch.memory_format | None = None
        self.step_model: Any = self.model
        if lazy.is_lazy_model(self.model):
            # before the optimizer is made and a variant looks at the parameters
            lazy.initialise(self.workload, self.to_device(first_batch(config, self.workload)))
        self.optimizers: tuple[Any, ...] = ()
        self.optimizer = self.workload.optimizer(self.parameters())
        for name, value in variants.in_order(config.variants):
            variants.get(name).apply(self, value)
        self._beginning = _beginning(self)

    @property
    def optimizer(self) -> Any:
        """The optimizer; where there are several, all of them in a tuple."""
        return self.optimizers[0] if len(self.optimizers) == 1 else self.optimizers

    @optimizer.setter
    def optimizer(self, made: Any) -> None:
        self.optimizers = as_tuple(made)

    def parameters(self) -> list[nn.Parameter]:
        """Parameters of the model and of the loss, if it has any; one that both hold is there once."""
        of_loss = self.loss.parameters() if isinstance(self.loss, nn.Module) else ()
        return list(dict.fromkeys(chain(self.model.parameters(), of_loss)))

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The precision that forward and loss run in."""
        if self.autocast_dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)

    def to_device(self, batch: Any) -> Any:
        """Move a batch to the device, its 4-D tensors in the model's memory format."""
        return batches.to_device(
            batch,
            self.device,
            non_blocking=self.config.pin_memory,
            memory_format=self.memory_format,
        )

    def loss_of(self, batch: Any) -> torch.Tensor:
        """Forward: the loss of one batch that is on the device.

        Raises:
            UsageError: the batch is no pair and there is no step, or what came out is no tensor.
        """
        step = self.workload.step
        if step is not None:
            loss = step(self.step_model, batch)
        else:
            inputs, targets = batches.split(batch)
            loss = self.loss(self.step_model(inputs), targets)
        if not isinstance(loss, torch.Tensor):
            raise UsageError(
                f"the {'loss' if step is None else 'step'} returned a {type(loss).__name__}",
                hint="it should return a scalar tensor",
            )
        return loss

    def recover(self) -> None:
        """Put back what a step or an evaluation that failed may have left half-way."""
        self.model.train()
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        if self.scaler is not None:
            # it raises where it stands at the beginning of a step already
            with contextlib.suppress(Exception):
                self.scaler.update()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def begin_again(self) -> None:
        """Give the optimizers what they held before their first step.

        Raises:
            Exception: they hold something that could not be copied.
        """
        if isinstance(self._beginning, Exception):
            raise self._beginning
        self._beginning.restore()
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def effective(self) -> dict[str, str]:
        """What torch says is in force, by the variants that were applied."""
        found = {"malloc": "keep" if self._keeps_memory else "default"}
        for name, _ in self.config.variants:
            found |= variants.get(name).read_back(self)
        return found


class BatchOrder(Sampler[list[int]]):
    """Batches of indices: whole epochs, each in an order of its own that only the seed decides.

    With `batches` None it never ends, so that blocks are steps of one long epoch; a number ends the
    pass after that many. Every batch has `size` samples. Both are read when an iteration begins.
    """

    def __init__(self, config: RunConfig) -> None:
        self._samples = config.num_samples
        self._generator = torch.Generator().manual_seed(config.seed)
        self.batches: int | None = None
        self.size = samples_of_step(config)

    def __iter__(self) -> Iterator[list[int]]:
        left, size = self.batches, self.size
        order: list[int] = []
        while left is None or left > 0:
            if len(order) < size:
                order += torch.randperm(self._samples, generator=self._generator).tolist()
            batch, order = order[:size], order[size:]
            left = None if left is None else left - 1
            yield batch

    @contextlib.contextmanager
    def limited(self, batches: int, size: int | None = None) -> Iterator[None]:
        """Inside, a pass that begins has so many batches, of so many samples."""
        usual = self.batches, self.size
        self.batches, self.size = batches, size or self.size
        try:
            yield
        finally:
            self.batches, self.size = usual


class ShuffledEpoch(Sampler[list[int]]):
    """Every sample of an epoch once, shuffled anew each time, in batches; the last may be partial.

    A number in `batches` ends the pass after that many. It is read when an iteration begins.
    """

    def __init__(self, config: RunConfig, *, drop_last: bool = False) -> None:
        self._samples = config.num_samples
        self._size = config.batch_size
        self._whole = config.steps_per_epoch if drop_last else None
        self.batches: int | None = None

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(self._samples).tolist()
        for start in range(0, self._samples, self._size)[: self._whole][: self.batches]:
            yield order[start : start + self._size]


def samples_of_step(config: RunConfig) -> int:
    """How many samples every batch of a block has."""
    return min(config.batch_size, config.num_samples)


def partial_batch(config: RunConfig, workload: Workload) -> int:
    """Samples in the last batch of an epoch where it is not full; 0 when there is none, or it is left out."""
    return 0 if workload.drop_last else config.partial_batch


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
    return contract.checked(config.arch, name, factory(config))


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
    # an empty one is false
    data = workload.dataset if dataset is None else dataset
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
        return DataLoader(data, batch_sampler=order, **settings)
    return DataLoader(data, batch_size=config.batch_size, **settings)


def fixed_batches(workload: Workload, order: list[list[int]]) -> list[Any]:
    """Return the batches of the given indices, made in this process as the loader makes them."""
    # its fetcher too, and not only the collation: a dataset may fetch whole batches itself
    loader = DataLoader(
        workload.dataset,
        batch_sampler=order,
        collate_fn=workload.collate,
        generator=torch.Generator(),
    )
    return list(loader)


def first_batch(config: RunConfig, workload: Workload) -> Any:
    """Return a batch of the first samples, made in this process."""
    length: int = len(workload.dataset)  # type: ignore[arg-type]
    (batch,) = fixed_batches(workload, [list(range(min(config.batch_size, length)))])
    return batch


def _beginning(training: Training) -> Beginning | Exception:
    modules = [training.model, training.loss]
    try:
        return Beginning(training.optimizers, [m for m in modules if isinstance(m, nn.Module)])
    except Exception as error:
        # whoever has to go back to it tells
        return error


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
