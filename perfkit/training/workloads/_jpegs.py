"""The images that are made for training: generated once into the cache, the same on every machine.

32 classes of patterns, told apart by the colours, the direction and the spacing of their stripes under
noise, each file with a shift, a turn and a light of its own: 2,048 files to train on and 512 to evaluate,
160 × 160 pixels, some 25 MB:

    <cache>/jpeg-v1/{train,eval}/<class>/<number>.jpg    and manifest.json: every file with its CRC-32

They are made in a folder beside it, which is renamed, under a lock: two runs that start at once make them
once, and a maker that was killed leaves nothing that looks whole. No torch here.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from perfkit.errors import UsageError
from perfkit.limits import usable_cores

NAME = "jpeg-v1"
QUALITY = 85

Progress = Callable[[int, int, str], None]
"""Gets (done, total, path)."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is generated."""

    classes: int = 32
    train_per_class: int = 64
    eval_per_class: int = 16
    side: int = 160
    """Pixels."""

    @property
    def files(self) -> int:
        """Files in all."""
        return self.classes * (self.train_per_class + self.eval_per_class)


def make(cache: Path, progress: Progress, sizes: Sizes | None = None) -> Path:
    """Generate the images unless they are there, whole; return their folder.

    Raises:
        UsageError: the cache cannot be written, or is full.
    """
    sizes = sizes or Sizes()
    target = cache / NAME
    if is_whole(target, sizes):
        return target
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{NAME}.lock"):
            for left_over in cache.glob(f"{NAME}.making-*"):
                shutil.rmtree(left_over, ignore_errors=True)
            if not is_whole(target, sizes):
                _make_anew(target, cache / f"{NAME}.making-{os.getpid()}", sizes, progress)
    except OSError as error:
        raise UsageError(
            f"cannot make the training images in {cache}: {error.strerror or error}",
            hint="set PERFKIT_CACHE_DIR to a folder of yours with 100 MB free",
        ) from error
    return target


def is_whole(folder: Path, sizes: Sizes) -> bool:
    """Whether every file of the manifest is there as it was made, and they are as many as they should be.

    All of them are read, some 30 ms: after a power cut a file may have its size and hold zeros.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        files = dict(manifest["files"])
        return len(files) == sizes.files and all(
            zlib.crc32((folder / name).read_bytes()) == crc for name, crc in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _make_anew(target: Path, workshop: Path, sizes: Sizes, progress: Progress) -> None:
    try:
        names = list(_names(sizes))
        for folder in {(workshop / name).parent for name, _, _ in names}:
            folder.mkdir(parents=True)
        made: dict[str, int] = {}
        with ThreadPoolExecutor(min(8, usable_cores())) as pool:
            crcs = pool.map(lambda n: _write(workshop / n[0], n[1], n[2], sizes.side), names)
            for done, ((name, _, _), crc) in enumerate(zip(names, crcs, strict=True), 1):
                made[name] = crc
                if done % 64 == 0 or done == len(names):
                    progress(done, len(names), str(target))
        (workshop / "manifest.json").write_text(json.dumps({"files": made}), encoding="utf-8")
        if target.exists():
            os.replace(target, workshop.with_name(workshop.name + "-damaged"))
        os.replace(workshop, target)
    finally:
        for left_over in (workshop, workshop.with_name(workshop.name + "-damaged")):
            shutil.rmtree(left_over, ignore_errors=True)


def _names(sizes: Sizes) -> Iterator[tuple[str, int, int]]:
    """Name, class and number of every file."""
    for part, first, count in (
        ("train", 0, sizes.train_per_class),
        ("eval", sizes.train_per_class, sizes.eval_per_class),
    ):
        for label in range(sizes.classes):
            for number in range(first, first + count):
                yield f"{part}/{label:02d}/{number:04d}.jpg", label, number


def _write(path: Path, label: int, number: int, side: int) -> int:
    """Write one image; return its CRC-32."""
    encoded = io.BytesIO()
    Image.fromarray(pattern(label, number, side)).save(encoded, "JPEG", quality=QUALITY)
    # not by Pillow, which takes a write that a full disk cut short for a whole one
    path.write_bytes(encoded.getvalue())
    return zlib.crc32(encoded.getvalue())


def pattern(label: int, number: int, side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Draw one image of a class: RGB, (side, side, 3), the same whenever it is drawn."""
    of_class = np.random.default_rng([label])
    own = np.random.default_rng([label, number + 1])
    dark, bright = of_class.uniform(20, 120, 3), of_class.uniform(110, 235, 3)
    angle = of_class.uniform(0, np.pi) + own.normal(0, 0.15)
    waves = of_class.uniform(2, 12) * own.uniform(0.85, 1.15)
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    across = np.cos(angle) * x + np.sin(angle) * y
    stripes = 0.5 + 0.5 * np.sin(2 * np.pi * (waves * across + own.uniform()))
    light = own.uniform(0.8, 1.2) * (1 - 0.3 * np.hypot(x - own.uniform(), y - own.uniform()))
    image = (dark + (bright - dark) * stripes[..., None]) * light[..., None]
    coarse = own.normal(0, 22, (side // 4 + 1, side // 4 + 1, 3))
    grain = np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1)[:side, :side]
    drawn: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    drawn = np.clip(image + grain, 0, 255).astype(np.uint8)
    return drawn
