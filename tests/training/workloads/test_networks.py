"""The two networks: one interface, sizes that scale, and what must not disturb a measurement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from own_settings import BUILT_IN, having
from torch import Tensor, nn

from perfkit.config import RunConfig
from perfkit.training import losses
from perfkit.training.probe.flops import training_flops
from perfkit.training.setup import make_workload
from perfkit.training.workload import Workload
from perfkit.training.workloads.convnext import MOST_DROPPED, Block, ConvNeXt, StochasticDepth

ARCHS = ("convnext", "baseline")
both = pytest.mark.parametrize("arch", ARCHS)


def with_changes(config: RunConfig, **changes: Any) -> RunConfig:
    """A configuration with some changes, of the workload's own settings or of every training's."""
    own = {name: value for name, value in changes.items() if name in BUILT_IN}
    plain = {name: value for name, value in changes.items() if name not in BUILT_IN}
    return having(replace(config, **plain), **own)


def made(config: RunConfig, **changes: Any) -> Workload:
    """The workload of a configuration with some changes."""
    changed = with_changes(config, **changes)
    torch.manual_seed(changed.seed)
    return make_workload(changed)


def batch(config: RunConfig) -> tuple[Tensor, Tensor]:
    """Random images with labels."""
    generator = torch.Generator().manual_seed(1)
    side = config.count_of("image_size")
    shape = (config.batch_size, 3, side, side)
    return torch.randn(shape, generator=generator), torch.arange(config.batch_size) % 4


def size(workload: Workload) -> int:
    """Parameters of the model."""
    return sum(parameter.numel() for parameter in workload.model.parameters())


def flops(config: RunConfig, **changes: Any) -> int:
    """FLOPs per sample of a training step."""
    workload = made(config, **changes)
    changed = with_changes(config, **changes)
    counted = training_flops(
        workload.model, batch(changed), samples=changed.batch_size, loss=workload.loss
    )
    assert counted.per_sample is not None, counted.reason
    return counted.per_sample


@both
@pytest.mark.parametrize("image_size", [16, 32, 64, 100])
def test_images_become_unit_vectors(config: RunConfig, arch: str, image_size: int) -> None:
    """(N, 3, side, side) becomes (N, 128) of length one, for every side from the smallest on."""
    changed = with_changes(config, image_size=image_size, batch_size=3)
    embeddings = made(changed, arch=arch).model(batch(changed)[0])
    assert embeddings.shape == (3, 128)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))


@both
def test_depth_and_width_scale(config: RunConfig, arch: str) -> None:
    """Twice the channels is some four times the parameters; more blocks are more of them and of FLOPs."""
    wide = with_changes(config, arch=arch, base_channels=32, num_blocks=2)
    plain = size(made(wide))
    assert 3 < size(made(wide, base_channels=64)) / plain < 4.2
    assert 1.2 < size(made(wide, num_blocks=4)) / plain < 2.2
    assert flops(wide, num_blocks=4) > 1.4 * flops(wide)


def test_stages_follow_the_images(config: RunConfig) -> None:
    """Three stages below 64 pixels, four from there on, of num_blocks each, every one twice as wide."""
    for image_size, widths in ((63, [8, 16, 32]), (64, [8, 16, 32, 64])):
        model = made(config, image_size=image_size, num_blocks=2).model
        blocks = [part for part in model.modules() if isinstance(part, Block)]
        assert [part.depthwise.in_channels for part in blocks[::2]] == widths
        assert [part.depthwise.in_channels for part in blocks[1::2]] == widths


def test_a_block_is_the_papers(config: RunConfig) -> None:
    """7×7 depthwise, LayerNorm over channels, 4× MLP, layer scale of 1e-6, added to the input."""
    block = Block(8, 0.0)
    assert block.depthwise.kernel_size == (7, 7)
    assert block.depthwise.groups == 8
    assert (block.widen.out_features, block.narrow.in_features) == (32, 32)
    assert torch.equal(block.scale, torch.full((8,), 1e-6))
    features = torch.randn(2, 8, 5, 5)
    assert (block(features) - features).abs().max() < 1e-5
    nn.init.ones_(block.scale)
    inner = block.depthwise(features).permute(0, 2, 3, 1)
    inner = block.narrow(nn.functional.gelu(block.widen(block.norm(inner)))).permute(0, 3, 1, 2)
    torch.testing.assert_close(block(features), features + inner)


@pytest.mark.parametrize(
    "changes", [{}, {"image_size": 128}, {"base_channels": 96}, {"num_blocks": 8}], ids=str
)
def test_the_baseline_is_lighter(config: RunConfig, changes: dict[str, int]) -> None:
    """From the default size on, the plain network has less than a third of the FLOPs and the weights."""
    default = RunConfig(arch="convnext", cache_dir=config.cache_dir, workload=BUILT_IN)
    default = having(default, viz_every=0, **changes)
    convnext, baseline = (replace(default, arch=name) for name in ARCHS)
    assert 3 * flops(baseline) < flops(convnext)
    assert 3 * size(made(baseline)) < size(made(convnext))


@both
def test_one_seed_gives_one_training(config: RunConfig, arch: str) -> None:
    """Weights, stochastic depth and updates depend on the seed alone; another seed is another run."""

    def trained(seed: int) -> list[float]:
        workload = made(config, arch=arch, seed=seed)
        assert isinstance(workload.loss, nn.Module)
        parameters = [*workload.model.parameters(), *workload.loss.parameters()]
        optimizer = workload.optimizer(parameters)
        seen = []
        torch.manual_seed(seed)
        for _ in range(3):
            loss = workload.loss(workload.model(batch(config)[0]), batch(config)[1])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            seen.append(loss.item())
        return seen

    once = trained(0)
    assert once == trained(0)
    assert once != trained(1)
    assert once[2] < once[0]


@both
def test_channels_last_changes_nothing_but_the_layout(config: RunConfig, arch: str) -> None:
    """The same embeddings in either memory format."""
    model = made(config, arch=arch).model.eval()
    images = batch(config)[0]
    expected = model(images)
    moved = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    found = moved(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@both
def test_one_graph(config: RunConfig, arch: str) -> None:
    """In training mode the model is captured whole, without a break, and so is its loss."""
    workload = made(config, arch=arch)
    images, labels = batch(config)

    def forward(images: Tensor, labels: Tensor) -> Tensor:
        return workload.loss(workload.model(images), labels)

    torch._dynamo.reset()
    captured = torch.compile(forward, backend="eager", fullgraph=True)
    torch.manual_seed(2)
    expected = forward(images, labels)
    torch.manual_seed(2)
    torch.testing.assert_close(captured(images, labels), expected)


@both
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(config: RunConfig, arch: str, dtype: torch.dtype) -> None:
    """Under mixed precision the loss is finite and gradients are kept in FP32."""
    workload = made(config, arch=arch)
    images, labels = batch(config)
    with torch.autocast("cpu", dtype=dtype):
        loss = workload.loss(workload.model(images), labels)
    loss.backward()
    assert loss.isfinite()
    for parameter in workload.model.parameters():
        assert parameter.grad is not None and parameter.grad.dtype == torch.float32
        assert parameter.grad.isfinite().all()


def depths(model: nn.Module) -> list[StochasticDepth]:
    """The model's stochastic depths."""
    return [part for part in model.modules() if isinstance(part, StochasticDepth)]


def test_keep_probabilities_fall_linearly() -> None:
    """The first block is never left out, the last one with MOST_DROPPED, evenly between."""
    model = ConvNeXt(8, 2, 3)
    kept = [float(part.keep_probability) for part in depths(model)]
    assert kept == pytest.approx([1 - MOST_DROPPED * n / 5 for n in range(1, 6)])


def test_a_keep_probability_is_not_stored(config: RunConfig) -> None:
    """It is a scalar buffer that follows the model to a device and is no part of its state."""
    model = made(config).model
    assert depths(model)
    for part in depths(model):
        assert part.keep_probability.shape == ()
        assert dict(part.named_buffers()) == {"keep_probability": part.keep_probability}
    assert not [name for name in model.state_dict() if "keep_probability" in name]


def test_switched_off_there_is_no_randomness(config: RunConfig) -> None:
    """As the losses are compared: with every probability at one, training mode is evaluation's."""
    model = made(config, num_blocks=3).model
    for block in model.modules():
        if isinstance(block, Block):
            nn.init.ones_(block.scale)
    images = batch(config)[0]
    with torch.no_grad():
        first, second = model.train()(images), model(images)
        assert not torch.equal(first, second)
        losses._switch_off_randomness(model)
        switched, evaluated = model(images), model.eval()(images)
    torch.testing.assert_close(switched, evaluated)


def test_a_branch_is_left_out_sample_by_sample() -> None:
    """What is kept is scaled by 1 ÷ probability, so that the mean stays; evaluation keeps all."""
    depth = StochasticDepth(0.75)
    torch.manual_seed(0)
    branch = torch.ones(4000, 2, 3, 3)
    out = depth(branch)
    per_sample = out.flatten(1)
    assert torch.equal(per_sample.min(1).values, per_sample.max(1).values)
    assert set(out.unique().tolist()) == {0.0, float(torch.tensor(1.0) / torch.tensor(0.75))}
    assert float(out.mean()) == pytest.approx(1.0, abs=0.04)
    assert torch.equal(depth.eval()(branch), branch)
