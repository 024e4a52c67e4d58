"""FLOPs counted on the meta device, against counts made by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from perfkit.training.probe.flops import training_flops

BATCH = 4


def mean(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """A loss without a matrix product in it."""
    return (outputs.float().mean() - targets.float().mean()) ** 2


def count(layer: nn.Module, *shape: int) -> int | None:
    """FLOPs per sample of a training step in which the input needs no gradient."""
    batch = (torch.randn(BATCH, *shape), torch.zeros(BATCH))
    counted = training_flops(layer, batch, samples=BATCH, loss=mean)
    assert counted.reason is None, counted.reason
    return counted.per_sample


@pytest.mark.parametrize(
    ("layer", "shape", "forward"),
    [
        # 2 × inputs × outputs
        (nn.Linear(8, 5), (8,), 2 * 8 * 5),
        # 2 × positions × in × out × kernel
        (nn.Conv2d(3, 6, 3, padding=1), (3, 10, 10), 2 * 100 * 3 * 6 * 9),
        # stride 2 leaves a quarter of the positions
        (nn.Conv2d(3, 6, 3, stride=2, padding=1), (3, 10, 10), 2 * 25 * 3 * 6 * 9),
        # each group sees a third of the channels
        (nn.Conv2d(6, 6, 3, padding=1, groups=3), (6, 10, 10), 2 * 100 * 2 * 6 * 9),
        # depthwise 7×7, as in ConvNeXt: one channel each
        (nn.Conv2d(16, 16, 7, padding=3, groups=16), (16, 8, 8), 2 * 64 * 1 * 16 * 49),
        # transposed: every input position meets the whole kernel
        (nn.ConvTranspose2d(4, 2, 2, stride=2), (4, 5, 5), 2 * 25 * 4 * 2 * 4),
    ],
)
def test_first_layers_by_hand(layer: nn.Module, shape: tuple[int, ...], forward: int) -> None:
    """The first layer's backward is one product more: of the weights, since no input gradient is asked."""
    assert count(layer, *shape) == 2 * forward


def test_a_later_layer_has_two_backward_products() -> None:
    """The depthwise convolution behind a pointwise one: forward, and both gradients, once each."""
    pointwise, depthwise = 2 * 64 * 3 * 16, 2 * 64 * 16 * 49
    layers = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 7, padding=3, groups=16))
    assert count(layers, 3, 8, 8) == 2 * pointwise + 3 * depthwise


def test_nothing_is_computed_and_nothing_changes() -> None:
    """Weights, gradients and the random state are as before."""
    layer = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5))
    before = layer[0].weight.detach().clone()
    batch = (torch.randn(BATCH, 8), torch.zeros(BATCH))
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert training_flops(layer, batch, samples=BATCH, loss=mean).per_sample == 2 * 2 * 8 * 8
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(layer[0].weight, before) and layer[0].weight.grad is None


def test_what_cannot_be_counted_has_a_reason() -> None:
    """A model that reads values, and one without a product."""

    class Branches(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) if x.sum().item() > 0 else x

    batch = (torch.randn(BATCH, 8), torch.zeros(BATCH))
    for model in (Branches(8, 8), nn.LayerNorm(8)):
        counted = training_flops(model, batch, samples=BATCH, loss=mean)
        assert counted.per_sample is None and counted.reason


def test_a_step_of_ones_own_is_counted() -> None:
    """Over a batch that is no pair; its samples are the sampler's, whatever its first dimension is."""
    layer = nn.Linear(8, 5)
    batch = {"x": torch.randn(3, BATCH, 8), "name": "text"}
    counted = training_flops(
        layer, batch, samples=BATCH, step=lambda model, batch: model(batch["x"]).mean()
    )
    assert counted.per_sample == 2 * 2 * 8 * 5 * 3
    assert layer.weight.grad is None


def test_packed_sequences_are_counted() -> None:
    """Their data are replaced, their lengths are read."""
    packed = pack_sequence([torch.randn(length, 8) for length in (4, 3, 2, 1)])
    counted = training_flops(
        nn.Linear(8, 5), packed, samples=BATCH, step=lambda model, batch: model(batch.data).mean()
    )
    assert counted.per_sample == 2 * 2 * 8 * 5 * 10 // BATCH


def test_a_loss_that_holds_the_model_is_copied_with_it() -> None:
    """Both copies share the stand-ins of their weights."""
    layer = nn.Linear(8, 5)

    class Penalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = layer

        def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return mean(outputs, targets) + self.model.weight.pow(2).sum()

    batch = (torch.randn(BATCH, 8), torch.zeros(BATCH))
    counted = training_flops(layer, batch, samples=BATCH, loss=Penalised())
    assert counted.per_sample == 2 * 2 * 8 * 5
