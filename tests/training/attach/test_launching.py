"""What launching the operators of a step takes, as a loss tells it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from perfkit.training.attach.folder import ProcessFolder
from perfkit.training.attach.launching import AT_STEP, Launching, operators_of


def loss_of_chain(length: int) -> torch.Tensor:
    x = torch.ones(1, requires_grad=True)
    for _ in range(length):
        x = torch.neg(x)
    return x.sum()


def test_operators_are_counted_without_the_ends_of_the_graph() -> None:
    """A chain of 40 and a sum; weights and bias are collected in, not computed."""
    assert operators_of(loss_of_chain(40)) == 41
    layer = nn.Linear(4, 4)
    # a product with its transposed weight, and a sum
    assert operators_of(layer(torch.ones(2, 4)).sum()) == 3


def test_it_is_told_once_when_all_is_warm(tmp_path: Path) -> None:
    """With the price of an operator, and no gradient of the loss yet."""
    folder, launching = ProcessFolder(tmp_path, time.perf_counter_ns()), Launching()
    loss = loss_of_chain(40)
    for trained in range(AT_STEP + 3):
        launching.backward(folder, trained, (), {"tensors": [loss]})
    (event,) = [one for one in folder.rank.events.read() if one["event"] == "launching"]
    assert event["operators"] == 41
    assert 1e-7 < event["operator_s"] < 1e-2
    loss.backward()  # type: ignore[no-untyped-call]


def test_nothing_of_the_script_s_is_changed(tmp_path: Path) -> None:
    """Random numbers, gradients of the weights, and whether gradients are recorded."""
    folder, launching = ProcessFolder(tmp_path, time.perf_counter_ns()), Launching()
    layer = nn.Linear(4, 4)
    loss = layer(torch.ones(2, 4)).sum()
    state: Any = torch.random.get_rng_state()
    launching.backward(folder, AT_STEP, (loss,), {})
    assert torch.equal(state, torch.random.get_rng_state())
    assert layer.weight.grad is None and torch.is_grad_enabled()


@pytest.mark.parametrize("grad", [True, False])
def test_a_backward_without_gradients_recorded_is_priced_all_the_same(
    tmp_path: Path, grad: bool
) -> None:
    """A hand-made loop may call backward under no_grad."""
    folder, loss = ProcessFolder(tmp_path, time.perf_counter_ns()), loss_of_chain(3)
    with torch.set_grad_enabled(grad):
        Launching().backward(folder, AT_STEP, (loss,), {})
    assert [one["event"] for one in folder.rank.events.read()].count("launching") == 1
