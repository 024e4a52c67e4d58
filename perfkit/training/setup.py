"""Building one training from its RunConfig: workload, then its variants in their order."""

from __future__ import annotations

import contextlib
from itertools import chain
from typing import Any

import torch
from torch import nn

from perfkit import discovery, variants
from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.training import batches, contract, lazy
from perfkit.training.failures import CannotRun
from perfkit.training.loading import first_batch
from perfkit.training.optimizers import Beginning, as_tuple
from perfkit.training.probe.device import device_info, make_current
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
        make_current(self.device)
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
        self.startup_s: dict[str, float] = {}
        self.step_model: Any = self.model
        if lazy.is_lazy_model(self.model):
            # before the optimizer is made and a variant looks at the parameters
            lazy.initialise(self.workload, self.to_device(first_batch(config, self.workload)))
        self.optimizers: tuple[Any, ...] = ()
        self.accumulated = 0
        """Batches whose gradients wait for an update."""
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

    def forget_gradients(self) -> None:
        """Let go of the gradients; none wait for an update then."""
        self.accumulated = 0
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def recover(self) -> None:
        """Put back what a step or an evaluation that failed may have left half-way."""
        self.model.train()
        self.forget_gradients()
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
        self.forget_gradients()

    def effective(self) -> dict[str, str]:
        """What torch says is in force, by the variants that were applied."""
        found = {
            "malloc": "keep" if self._keeps_memory else "default",
            "num_threads": str(torch.get_num_threads()),
        }
        for name, _ in self.config.variants:
            found |= variants.get(name).read_back(self)
        return found


def make_workload(config: RunConfig) -> Workload:
    """Call the factory of the workload that the configuration names.

    Raises:
        UsageError: there is none, it lacks a setting that is named, or what it makes is not a Workload that
            can be trained.
    """
    module, name = discovery.load_workload(config.arch)
    factory = getattr(module, name, None)
    if not callable(factory):
        raise UsageError(
            f"workload {config.arch}: {module.__file__} has no function {name}",
            hint=f"define `def {name}(config): return Workload(...)`",
        )
    return contract.checked(config.arch, name, factory(contract.completed(config, module)))


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
