"""Floating-point operations of one training step, counted on an eager copy on the meta device.

A multiply-add counts as two. Matrix products, convolutions and attention are counted, forward and
backward; elementwise work and normalisations are not, as in the usual model FLOPs (Chowdhery et al.
2022, arXiv:2204.02311, appendix B). What activation checkpointing computes twice is counted twice.
"""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.flop_counter import FlopCounterMode

from perfkit.training import batches

Shape = tuple[int, ...]
NOTHING_TO_COUNT = "no matrix product or convolution was seen"


@dataclass(frozen=True, kw_only=True)
class Flops:
    """The count, or why there is none: exactly one of the two is None."""

    per_sample: int | None
    """FLOPs of forward, loss and backward ÷ samples of the batch, rounded."""
    reason: str | None = None


def training_flops(
    model: nn.Module,
    batch: Any,
    *,
    samples: int,
    loss: Callable[[Any, Any], Tensor] | None = None,
    step: Callable[[Any, Any], Tensor] | None = None,
) -> Flops:
    """Count the FLOPs per sample of forward, loss and backward of one step in FP32.

    Nothing is computed and the model is left as it is: parameters, buffers and batch are replaced
    by meta tensors, which have shapes and no data. So the batch should have the training's own size
    (a loss over pairs of samples is not linear in it) and code that reads values (`.item()`, a
    branch on a tensor) cannot be counted. Global random states are restored.

    Args:
        model: counted in the mode it is in; of a compiled one the original is copied.
        batch: as the loader gives it.
        samples: how many it holds.
        loss: of `(outputs, targets)`, where the batch is a pair; may be a module with parameters of its own.
        step: of `(model, batch)`, where there is no such loss.
    """
    try:
        memo = _meta_tensors(model) | _meta_tensors(loss) | _meta_tensors(step)
        counted_model = copy.deepcopy(_eager(model), memo)
        counted_loss = copy.deepcopy(_eager(loss), memo)
        counted_step = copy.deepcopy(_eager(step), memo)
        shapes = batches.mapped(batch, _to_meta)
        counter = FlopCounterMode(
            display=False,
            custom_mapping={torch.ops.aten.convolution_backward: _convolution_backward},
        )
        with _random_states_kept(), never_compiled(), torch.enable_grad(), counter:
            if counted_step is not None:
                counted_step(counted_model, shapes).backward()
            else:
                inputs, targets = batches.split(shapes)
                counted_loss(counted_model(inputs), targets).backward()
        total = counter.get_total_flops()
    except Exception as error:  # anything may be raised by the workload's own code
        first_line = (str(error).strip() or "(no message)").splitlines()[0]
        return Flops(per_sample=None, reason=f"{type(error).__name__}: {first_line}")
    if total == 0:
        return Flops(per_sample=None, reason=NOTHING_TO_COUNT)
    return Flops(per_sample=round(total / samples))


def _convolution_backward(
    grad_out: Shape,
    inputs: Shape,
    weight: Shape,
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: Any,
    output_mask: list[bool],
    **_kwargs: Any,
) -> int:
    """Return the forward's FLOPs once for each gradient asked for among input and weight.

    Each of them sums the same products as the forward does, in another order, whatever the groups:
    `weight` is (out, in ÷ groups, *kernel), so its size counts each group once. Torch's own formula
    counts a grouped weight gradient as if every group saw all channels.
    """
    positions = inputs[2:] if transposed else grad_out[2:]
    forward = 2 * grad_out[0] * prod(positions) * prod(weight)
    return forward * sum(output_mask[:2])


def _eager(module: Any) -> Any:
    """Return what `torch.compile` wrapped, or the module itself."""
    return getattr(module, "_orig_mod", module)


def _to_meta(part: Any) -> Any:
    """A tensor of that shape and no data; of a batch, also what has a `to` of its own."""
    if isinstance(part, PackedSequence):
        # not all of it: lengths are read, wherever the data are
        return part._replace(data=_to_meta(part.data))
    if not isinstance(part, Tensor):
        return part.to("meta")
    return torch.empty_like(part, device="meta", requires_grad=part.requires_grad)


def _meta_tensors(module: Any) -> dict[int, Any]:
    """Return a memo for `deepcopy`: every tensor that a module holds → a stand-in on meta.

    So the copy never holds the weights twice. Tensors kept as plain attributes have stand-ins too.
    """
    if not isinstance(module, nn.Module):
        return {}
    memo: dict[int, Any] = {}
    for part in module.modules():
        held = [vars(part), part._parameters, part._buffers]
        for tensor in (v for values in held for v in values.values() if isinstance(v, Tensor)):
            stand_in = _to_meta(tensor)
            if isinstance(tensor, nn.Parameter):
                stand_in = nn.Parameter(stand_in.detach(), requires_grad=tensor.requires_grad)
            memo[id(tensor)] = stand_in
    return memo


def never_compiled() -> AbstractContextManager[Any]:
    """Keep parts of a model that were compiled on their own from compiling inside: all runs eagerly."""
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    eager: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return eager


@contextmanager
def _random_states_kept() -> Iterator[None]:
    """Leave the CPU generators as they were: stochastic depth draws from them even on meta."""
    state = random.getstate()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(state)
