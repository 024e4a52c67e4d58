"""Like with like: the losses of a few fixed steps, to be held against FP32's.

The batches, their order and the initial weights depend on the seed alone; stochastic depth and
dropout are off; a step that the gradient scaler skipped is done again on the same batch, so that the
n-th loss always follows n updates. How far FP32's own losses spread over seeds is the tolerance.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from perfkit.training.loop import Loop, split
from perfkit.training.setup import make_workload

STEPS = 6
FIXED_BATCHES = 2
MOST_SKIPS = 20
"""A gradient scaler starts at 2^16 and halves: more skips in a row than this mean that it never fits."""


def trace(loop: Loop, seed: int) -> list[float]:
    """Return the losses before each of the first `STEPS` updates from fresh weights of `seed`.

    Leaves the training with other weights and no dropout: measure everything else before.
    """
    training = loop.training
    torch.manual_seed(seed)
    fresh = make_workload(replace(training.config, seed=seed))
    training.model.load_state_dict(fresh.model.state_dict())
    if isinstance(training.loss, nn.Module) and isinstance(fresh.loss, nn.Module):
        training.loss.load_state_dict(fresh.loss.state_dict())
    training.optimizer.state.clear()
    _switch_off_randomness(training.model)
    torch.manual_seed(seed)
    batches = [_fixed_batch(loop, number) for number in range(FIXED_BATCHES)]
    return [_loss_of_update(loop, batches[i % FIXED_BATCHES]) for i in range(STEPS)]


def _loss_of_update(loop: Loop, batch: tuple[Any, Any]) -> float:
    scaler = loop.training.scaler
    for _ in range(MOST_SKIPS):
        scale = None if scaler is None else scaler.get_scale()
        value = float(loop.train_on(*batch))
        if scaler is None or scaler.get_scale() >= scale:
            break
    return value


def _fixed_batch(loop: Loop, number: int) -> tuple[Any, Any]:
    config, workload = loop.training.config, loop.training.workload
    size: Any = len(workload.dataset)  # type: ignore[arg-type]
    # mixed, because data often lies class by class; the same for every seed and row
    order = torch.randperm(size, generator=torch.Generator().manual_seed(0)).tolist()
    indices = [order[(number * config.batch_size + i) % size] for i in range(config.batch_size)]
    collate = workload.collate or torch.utils.data.default_collate
    inputs, targets = split(collate([workload.dataset[index] for index in indices]))
    return loop.training.to_device(inputs), loop.training.to_device(targets)


def _switch_off_randomness(model: nn.Module) -> None:
    for module in model.modules():
        keep = getattr(module, "keep_probability", None)
        if isinstance(keep, torch.Tensor):
            # a tensor and not a number: a compiled graph stays valid
            keep.fill_(1.0)
        elif isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
