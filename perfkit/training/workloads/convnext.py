"""An embedding network of ConvNeXt blocks (Liu et al. 2022, "A ConvNet for the 2020s", arXiv:2201.03545)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from perfkit.config import RunConfig
from perfkit.training.workload import Workload
from perfkit.training.workloads import _embedding
from perfkit.training.workloads._files import num_samples, prepare

__all__ = ["SETTINGS", "factory", "num_samples", "prepare"]

SETTINGS = (*_embedding.SETTINGS, *_embedding.OF_A_NETWORK)
LAYER_SCALE = 1e-6
MOST_DROPPED = 0.1
"""Probability that the last block is left out, as for the paper's ConvNeXt-T; the first never is."""
SMALL_IMAGE = 64
"""Below so many pixels there are three stages: a fourth would be left with a map of one pixel."""


def factory(config: RunConfig) -> Workload:
    """Train a ConvNeXt of `base_channels` and `num_blocks` per stage."""
    stages = 3 if config.count_of("image_size") < SMALL_IMAGE else 4
    channels, blocks = config.count_of("base_channels"), config.count_of("num_blocks")
    return _embedding.workload(config, ConvNeXt(channels, blocks, stages))


class ConvNeXt(nn.Module):
    """Images (N, 3, H, W) to unit vectors (N, 128). Each stage halves the map and doubles the channels."""

    def __init__(self, base_channels: int, num_blocks: int, stages: int) -> None:
        super().__init__()
        total = stages * num_blocks
        drops = torch.linspace(0, MOST_DROPPED, total).tolist() if total > 1 else [0.0]
        layers: list[nn.Module] = [
            nn.Conv2d(3, base_channels, kernel_size=4, stride=4),
            LayerNorm2d(base_channels),
        ]
        channels = base_channels
        for stage in range(stages):
            if stage:
                layers += [LayerNorm2d(channels), nn.Conv2d(channels, 2 * channels, 2, stride=2)]
                channels *= 2
            of_stage = drops[stage * num_blocks : (stage + 1) * num_blocks]
            layers += [Block(channels, dropped) for dropped in of_stage]
        self.features = nn.Sequential(*layers)
        self.head = _embedding.Head(channels)

    def forward(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.head(self.features(images))
        return embeddings


class Block(nn.Module):
    """7×7 depthwise convolution, LayerNorm, 4× MLP with GELU, layer scale, stochastic depth."""

    def __init__(self, channels: int, dropped: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), LAYER_SCALE))
        self.drop = StochasticDepth(1 - dropped) if dropped else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        # the linear layers work on the last dimension: channels go there, as in the paper's code
        inner = self.norm(self.depthwise(features).permute(0, 2, 3, 1))
        inner = self.narrow(nn.functional.gelu(self.widen(inner))) * self.scale
        branch: Tensor = self.drop(inner.permute(0, 3, 1, 2))
        return features + branch


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, features: Tensor) -> Tensor:
        normalised: Tensor = super().forward(features.permute(0, 2, 3, 1))
        return normalised.permute(0, 3, 1, 2)


class StochasticDepth(nn.Module):
    """Leave a residual branch out for some samples of a batch (Huang et al. 2016, arXiv:1603.09382).

    The probability is a tensor: it can be changed without compiling anew, and the draw never leaves the
    device.
    """

    keep_probability: Tensor

    def __init__(self, keep_probability: float) -> None:
        super().__init__()
        self.register_buffer("keep_probability", torch.tensor(keep_probability), persistent=False)

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training:
            return branch
        drawn = torch.rand(branch.shape[0], 1, 1, 1, device=branch.device)
        kept = (drawn < self.keep_probability) / self.keep_probability
        return branch * kept.to(branch.dtype)
