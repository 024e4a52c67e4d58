"""A plain convolutional network of ConvNeXt's interface, some five times lighter: the cheap alternative."""

from __future__ import annotations

from torch import Tensor, nn

from perfkit.config import RunConfig
from perfkit.training.workload import Workload
from perfkit.training.workloads import _embedding
from perfkit.training.workloads._files import num_samples, prepare

__all__ = ["SETTINGS", "factory", "num_samples", "prepare"]

SETTINGS = (*_embedding.SETTINGS, *_embedding.OF_A_NETWORK)
STAGES = 3


def factory(config: RunConfig) -> Workload:
    """Train a plain network of half of `base_channels` and half of `num_blocks` per stage."""
    channels, blocks = config.count_of("base_channels"), config.count_of("num_blocks")
    return _embedding.workload(config, Baseline(channels, blocks))


class Baseline(nn.Module):
    """Images (N, 3, H, W) to unit vectors (N, 128): convolution, batch norm, ReLU, and nothing else."""

    def __init__(self, base_channels: int, num_blocks: int) -> None:
        super().__init__()
        channels = max(8, base_channels // 2)
        layers = _unit(3, channels, kernel_size=4, stride=4)
        for stage in range(STAGES):
            if stage:
                layers += _unit(channels, 2 * channels, kernel_size=2, stride=2)
                channels *= 2
            for _ in range(max(1, num_blocks // 2)):
                layers += _unit(channels, channels, kernel_size=3, padding=1)
        self.features = nn.Sequential(*layers)
        self.head = _embedding.Head(channels)

    def forward(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.head(self.features(images))
        return embeddings


def _unit(inputs: int, outputs: int, **shape: int) -> list[nn.Module]:
    """A convolution with its batch norm, which has the bias, and ReLU."""
    convolution = nn.Conv2d(
        inputs,
        outputs,
        shape["kernel_size"],
        stride=shape.get("stride", 1),
        padding=shape.get("padding", 0),
        bias=False,
    )
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
