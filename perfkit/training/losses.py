"""Like with like: the losses of a few fixed steps, to be held against FP32's.

The batches, their order and the initial weights depend on the seed alone; stochastic depth and
dropout are off; a step that the gradient scaler skipped is done again on the same batch, so that the
n-th loss always follows n updates. How far FP32's own losses spread when its arithmetic is perturbed
(`perturbing`) is the tolerance.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from perfkit.training import lazy, perturbing
from perfkit.training.batches import copied
from perfkit.training.failures import BadLoss
from perfkit.training.loading import fixed_batches, is_stream, length_of, samples_of_step
from perfkit.training.loop import Loop
from perfkit.training.probe.flops import never_compiled
from perfkit.training.setup import Training, make_workload
from perfkit.training.workload import Workload

STEPS = 6
FIXED_BATCHES = 2
PERTURBED_TRACES = 3
MOST_SKIPS = 20
"""A gradient scaler starts at 2^16 and halves: more skips in a row than this mean that it never fits."""


def trace(loop: Loop, seed: int) -> list[float]:
    """Return the losses before each of the first `STEPS` updates from fresh weights of `seed`.

    Leaves the training with other weights and no dropout: measure everything else before.

    Raises:
        BadLoss: one of them is not finite.
        RuntimeError: the weights of a fresh copy do not fit the model.
    """
    training = loop.training
    batches = _begin(training, seed)
    found = [_loss_of_update(loop, batches[i % FIXED_BATCHES]) for i in range(STEPS)]
    bad = next((n for n, loss in enumerate(found) if not math.isfinite(loss)), None)
    if bad is not None:
        raise BadLoss(
            f"the loss is {found[bad]} after {bad} updates from the weights of seed {seed}"
        )
    return found


def perturbed(loop: Loop, seed: int, size: float) -> list[list[float]]:
    """Return `PERTURBED_TRACES` such traces of the eager model in FP32, its arithmetic perturbed at a size.

    Raises:
        BadLoss, RuntimeError: as `trace`.
    """
    found = []
    for number in range(PERTURBED_TRACES):
        hooks = perturbing.Perturbation(
            loop.training.model, size, seed=seed * PERTURBED_TRACES + number
        )
        with _in_fp32(loop.training), never_compiled(), hooks:
            found.append(trace(loop, seed))
    return found


def _begin(training: Training, seed: int) -> list[Any]:
    """Give the training fresh weights and optimizers; return the fixed batches, not yet moved."""
    _seed(seed)
    fresh = make_workload(replace(training.config, seed=seed))
    # a stream made anew has nothing behind it, whatever the training has taken of its own
    workload = fresh if is_stream(fresh) else training.workload
    _seed(seed)
    batches = _batches(workload, samples_of_step(training.config))
    if lazy.is_lazy_model(fresh.model):
        # where the training's own was initialised: elsewhere other numbers are drawn
        fresh.model.to(training.device).train()
        lazy.initialise(fresh, training.to_device(copied(batches[0])))
    _load(training.model, fresh.model)
    if isinstance(training.loss, nn.Module) and isinstance(fresh.loss, nn.Module):
        _load(training.loss, fresh.loss)
    training.begin_again()
    _switch_off_randomness(training.model)
    _seed(seed)
    return batches


def _load(model: nn.Module, fresh: nn.Module) -> None:
    try:
        model.load_state_dict(fresh.state_dict())
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        what = " ".join(str(error).split())[:200]
        raise RuntimeError(f"the weights of a fresh copy do not fit: {what}") from error


def _loss_of_update(loop: Loop, batch: Any) -> float:
    training, scaler = loop.training, loop.training.scaler
    for _ in range(MOST_SKIPS):
        scale = None if scaler is None else scaler.get_scale()
        # the mean over one batch again and again is that batch's: the losses are those without accumulation
        for _ in range(training.config.accumulate):
            # a copy each time: some loops change their batches
            value = float(loop.train_on(training.to_device(copied(batch))))
        if scaler is None or scaler.get_scale() >= scale:
            break
    return value


def _batches(workload: Workload, size: int) -> list[Any]:
    if is_stream(workload):
        return fixed_batches(workload, [[0] * size] * FIXED_BATCHES)
    length = length_of(workload)
    # mixed, because data often lies class by class; the same for every seed and row
    order = torch.randperm(length, generator=torch.Generator().manual_seed(0)).tolist()
    return fixed_batches(
        workload,
        [
            [order[(number * size + i) % length] for i in range(size)]
            for number in range(FIXED_BATCHES)
        ],
    )


def _seed(seed: int) -> None:
    """Seed what a dataset, a model and a loss may draw from."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


@contextlib.contextmanager
def _in_fp32(training: Training) -> Iterator[None]:
    """Inside, steps run eagerly and without autocast."""
    usual = training.autocast_dtype, training.scaler, training.step_model
    training.autocast_dtype, training.scaler, training.step_model = None, None, training.model
    try:
        yield
    finally:
        training.autocast_dtype, training.scaler, training.step_model = usual


def _switch_off_randomness(model: nn.Module) -> None:
    for module in model.modules():
        keep = getattr(module, "keep_probability", None)
        if isinstance(keep, torch.Tensor):
            # a tensor and not a number: a compiled graph stays valid
            keep.fill_(1.0)
        elif isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        elif isinstance(module, (nn.RNNBase, nn.MultiheadAttention)):
            module.dropout = 0.0
        elif isinstance(getattr(module, "drop_prob", None), float):
            # timm's and torchvision's stochastic depth
            vars(module)["drop_prob"] = 0.0
