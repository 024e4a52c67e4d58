"""Images as a dataset: read, decoded and augmented in the loader's workers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from perfkit.config import RunConfig
from perfkit.training.workloads import _files

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's, as pretrained models expect them."""
AREA = (0.35, 1.0)
ASPECT = (3 / 4, 4 / 3)
"""Part of the image that a training crop covers, and its width ÷ height (Szegedy et al. 2015)."""


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
        self._mean = torch.tensor(MEAN).view(3, 1, 1) * 255
        self._std = torch.tensor(STD).view(3, 1, 1) * 255

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not 0 <= index < self._length:
            raise IndexError(index)
        path, label = self._files[index % len(self._files)]
        pixels = torch.from_numpy(np.array(self._crop(_read(path)))).permute(2, 0, 1)
        return pixels.to(torch.float32).sub_(self._mean).div_(self._std), label


def _read(path: str) -> Image.Image:
    try:
        with Image.open(path) as opened:
            return opened.convert("RGB")
    except MemoryError:
        raise
    except Exception as error:  # each of Pillow's decoders has its own for a damaged file
        raise OSError(f"cannot read image {path}: {error}") from error


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


def datasets(config: RunConfig) -> tuple[Images, Images, int]:
    """Return the training set, the evaluation set and the number of classes.

    Raises:
        UsageError: the images are not there.
    """
    split = _files.find(config)
    return (
        Images(split.train, config.num_samples, TrainCrop(config.image_size)),
        Images(split.eval, config.eval_samples, EvalCrop(config.image_size)),
        len(split.classes),
    )
