"""The image files that workloads train on: generated once into the cache, or a folder of the user's.

The generated set is 32 classes of patterns, told apart by the colours, the direction and the spacing of
their stripes under noise, each file with a shift, a turn and a light of its own. It holds 2,048 files to
train on and 512 to evaluate, 160 × 160 pixels, some 25 MB:

    <cache>/jpeg-v1/{train,eval}/<class>/<number>.jpg    and manifest.json: every file with its size

It is made in a folder beside it and renamed, under a lock: two runs that start at once make it once,
and a maker that was killed leaves nothing that looks whole. No torch here.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image, UnidentifiedImageError

from perfkit.config import RunConfig
from perfkit.errors import UsageError

NAME = "jpeg-v1"
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
EVAL_FOLDERS = ("val", "eval", "valid", "validation", "test")
HELD_OUT_EVERY = 10
"""Of a folder without a split, every so many-th file of a class is kept for evaluation."""
CHECKED_FILES = 2000
"""At most so many headers of a user's files are read before anything is measured."""

Progress = Callable[[int, int, str], None]
"""Gets (done, total, path)."""
Labelled = tuple[str, int]


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


@dataclass(frozen=True, kw_only=True)
class Split:
    """Paths with their class numbers."""

    train: tuple[Labelled, ...]
    eval: tuple[Labelled, ...]
    classes: tuple[str, ...]


def prepare(config: RunConfig, progress: Progress) -> str:
    """Make sure that the images of a configuration are there and readable; return where.

    Raises:
        UsageError: there are none where the configuration says, or no space or right to make them.
    """
    folder = _own_folder(config)
    if folder is None:
        return str(make(Path(config.cache_dir), progress))
    split = _split_of(folder)
    files = [path for path, _ in (*split.train, *split.eval)]
    for path in files[:: max(1, -(-len(files) // CHECKED_FILES))]:
        _check_header(path)
    return str(folder)


def find(config: RunConfig) -> Split:
    """List the images of a configuration, in an order that depends on their names alone.

    Raises:
        UsageError: they are not there.
    """
    folder = _own_folder(config)
    return _split_of(Path(config.cache_dir) / NAME if folder is None else folder)


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
    """Whether every file of the manifest is there in its size, and is as many as there should be."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        files = dict(manifest["files"])
        return len(files) == sizes.files and all(
            os.stat(folder / name).st_size == size for name, size in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _make_anew(target: Path, workshop: Path, sizes: Sizes, progress: Progress) -> None:
    try:
        names = list(_names(sizes))
        for folder in {(workshop / name).parent for name, _, _ in names}:
            folder.mkdir(parents=True)
        made: dict[str, int] = {}
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            sizes_of = pool.map(lambda n: _write(workshop / n[0], n[1], n[2], sizes.side), names)
            for done, ((name, _, _), size) in enumerate(zip(names, sizes_of, strict=True), 1):
                made[name] = size
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
    Image.fromarray(pattern(label, number, side)).save(path, quality=85)
    return path.stat().st_size


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


def _own_folder(config: RunConfig) -> Path | None:
    kind, _, path = config.data.partition(":")
    if config.data == "jpeg":
        return None
    if kind != "folder" or not path:
        raise UsageError(f"unknown data {config.data!r}", hint="use jpeg, or folder:PATH")
    return Path(path).expanduser()


def _split_of(folder: Path) -> Split:
    if not folder.is_dir():
        raise UsageError(
            f"there is no folder of images {folder}",
            hint="folder:PATH has a folder per class, or train/ and val/ with one per class each",
        )
    train = folder / "train" if (folder / "train").is_dir() else folder
    classes = _classes(train)
    files = [_files(train / name) for name in classes]
    held = next((folder / name for name in EVAL_FOLDERS if (folder / name).is_dir()), None)
    if held is not None and train != folder:
        kept, held_out = files, [_files(held / name) for name in classes]
    else:
        held_out = [of_class[::HELD_OUT_EVERY] for of_class in files]
        kept = [
            [path for number, path in enumerate(of_class) if number % HELD_OUT_EVERY] or of_class
            for of_class in files
        ]
    for where, found in ((train, kept), (held or train, held_out)):
        if not any(found):
            raise UsageError(
                f"there are no images in {where}", hint=f"files should end in {', '.join(SUFFIXES)}"
            )
    return Split(train=_mixed(kept), eval=_mixed(held_out), classes=classes)


def _mixed(files: list[list[str]]) -> tuple[Labelled, ...]:
    """All files, going round the classes, so that any stretch of them holds many classes."""
    rounds = zip_longest(*files)
    return tuple((path, label) for each in rounds for label, path in enumerate(each) if path)


def _classes(folder: Path) -> tuple[str, ...]:
    found = tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir()))
    if len(found) < 2:
        raise UsageError(
            f"{folder} has {len(found)} class folders, and two are needed to train on",
            hint="put the images of each class into a folder of its own",
        )
    return found


def _files(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]


def _check_header(path: str) -> None:
    try:
        with Image.open(path):
            return
    except (OSError, UnidentifiedImageError) as error:
        raise UsageError(
            f"cannot read image {path}: {error}", hint="remove it or replace it"
        ) from error
