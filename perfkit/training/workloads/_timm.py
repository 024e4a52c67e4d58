"""`timm:NAME`: any image model of timm, untrained, as an embedding network on the built-in images.

It needs the extra `perfkit[timm]`. Nothing is downloaded: the weights are random.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.training.workload import Workload
from perfkit.training.workloads import _embedding, _files, _jpegs
from perfkit.training.workloads._embedding import SETTINGS
from perfkit.training.workloads._files import num_samples

__all__ = ["SETTINGS", "factory", "num_samples", "prepare"]


def prepare(config: RunConfig, progress: _jpegs.Progress) -> str | None:
    """Make sure that timm has the model, and that the images are there.

    Raises:
        UsageError: timm cannot be imported or has no such model; or as the built-in workloads.
    """
    _named(config)
    return _files.prepare(config, progress)


def factory(config: RunConfig) -> Workload:
    """Train the model that the configuration's `arch` names after its colon.

    Raises:
        UsageError: timm cannot be imported or has no such model.
    """
    timm, name = _named(config)
    return _embedding.workload(config, Embedder(_model(timm, name, config.count_of("image_size"))))


def _named(config: RunConfig) -> tuple[Any, str]:
    name = config.arch.partition(":")[2]
    try:
        import timm
    except Exception as error:
        raise UsageError(
            f"timm cannot be imported: {type(error).__name__}: {error}",
            hint="pip install 'perfkit[timm]'",
        ) from error
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), n=3)
        raise UsageError(
            f"timm has no model {name!r}",
            hint=f"did you mean {' or '.join(near)}?" if near else "timm.list_models() lists them",
        )
    return timm, name


def _model(timm: Any, name: str, image_size: int) -> nn.Module:
    settings: dict[str, Any] = {"pretrained": False, "num_classes": _embedding.EMBEDDING}
    try:
        model: nn.Module = timm.create_model(name, img_size=image_size, **settings)
    except TypeError:
        # a convolutional network takes any size and has no such argument
        model = timm.create_model(name, **settings)
    return model


class Embedder(nn.Module):
    """Images (N, 3, H, W) to unit vectors (N, 128)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return functional.normalize(self.network(images), dim=1)
