"""Images as a dataset: read, decoded and augmented in the loader's workers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from perfkit.config import RunConfig
from perfkit.training.workloads import _files, _jpegs

MEAN = 255 * torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1)
STD = 255 * torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
"""ImageNet's, as pretrained models expect them, for pixels of 0 to 255."""
AREA = (0.35, 1.0)
ASPECT = (3 / 4, 4 / 3)
"""Part of the image that a training crop covers, and its width ÷ height (Szegedy et al. 2015)."""


Samples = Dataset[tuple[Tensor, int]]


class Images(Dataset[tuple[Tensor, int]]):
    """`length` samples `(float32 (3, side, side), class)` of some files, which are gone over again
    when there are fewer.

    Raises:
        OSError: a file cannot be read as an image; the message names it.
    """

    def __init__(
        self,
        files: Sequence[tuple[str, int]],
        length: int,
        crop: Callable[[Image.Image], Image.Image],
    ) -> None:
        self._files = files
        self._length = length
        self._crop = crop

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not 0 <= index < self._length:
            raise IndexError(index)
        path, label = self._files[index % len(self._files)]
        return _normalised(np.array(self._crop(_read(path)))), label


def _normalised(pixels: np.ndarray[Any, Any]) -> Tensor:
    """Bring (H, W, 3) bytes to float32 (3, H, W)."""
    return torch.from_numpy(pixels).permute(2, 0, 1).to(torch.float32).sub_(MEAN).div_(STD)


def _read(path: str) -> Image.Image:
    try:
        with Image.open(path) as opened:
            return opened.convert("RGB")
    except MemoryError:
        raise
    except Exception as error:  # each of Pillow's decoders has its own for a damaged file
        raise OSError(_files.unreadable(path, error)) from error


class TrainCrop:
    """A random part of the image, resized, mirrored every other time. Randomness is torch's."""

    def __init__(self, side: int) -> None:
        self._side = side

    def __call__(self, image: Image.Image) -> Image.Image:
        share, shape, left, top, mirror = torch.rand(5).tolist()
        area = (AREA[0] + (AREA[1] - AREA[0]) * share) * image.width * image.height
        aspect = math.exp(math.log(ASPECT[0]) + (math.log(ASPECT[1]) - math.log(ASPECT[0])) * shape)
        width = min(math.sqrt(area * aspect), image.width)
        height = min(math.sqrt(area / aspect), image.height)
        x, y = left * (image.width - width), top * (image.height - height)
        cropped = image.resize(
            (self._side, self._side), Image.Resampling.BILINEAR, (x, y, x + width, y + height)
        )
        return cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror < 0.5 else cropped


class EvalCrop:
    """The middle of the image, resized."""

    def __init__(self, side: int) -> None:
        self._side = side

    def __call__(self, image: Image.Image) -> Image.Image:
        size = min(image.size)
        x, y = (image.width - size) / 2, (image.height - size) / 2
        return image.resize(
            (self._side, self._side), Image.Resampling.BILINEAR, (x, y, x + size, y + size)
        )


class InMemory(Dataset[tuple[Tensor, int]]):
    """`length` samples that are decoded already: what a loader costs that has nothing to do but collate.

    A few images of every generated class, gone over again and again, without augmentation.
    """

    def __init__(self, length: int, side: int, first: int, per_class: int) -> None:
        classes = _jpegs.Sizes().classes
        numbers = range(first, first + per_class)
        self._samples = [
            (_normalised(_jpegs.pattern(label, number, side)), label)
            for number in numbers
            for label in range(classes)
        ]
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not 0 <= index < self._length:
            raise IndexError(index)
        return self._samples[index % len(self._samples)]


def datasets(config: RunConfig) -> tuple[Samples, Samples, int]:
    """Return the training set, the evaluation set and the number of classes.

    Raises:
        UsageError: the images are not there.
    """
    side = config.count_of("image_size")
    if config.text_of("data") == _files.MEMORY:
        return (
            InMemory(config.num_samples, side, first=0, per_class=8),
            InMemory(config.count_of("eval_samples"), side, first=8, per_class=2),
            _jpegs.Sizes().classes,
        )
    split = _files.find(config)
    # a folder is evaluated as a whole, as training on it would
    generated = config.text_of("data") == "jpeg"
    held_out = config.count_of("eval_samples") if generated else len(split.eval)
    return (
        Images(split.train, config.num_samples, TrainCrop(side)),
        Images(split.eval, held_out, EvalCrop(side)),
        len(split.classes),
    )
