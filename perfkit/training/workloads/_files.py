"""Which image files a configuration trains on: those generated into the cache, or a folder of the user's.

A folder has one folder of images per class. With `train/` and one of `val/`, `eval/`, `valid/`,
`validation/`, `test/` in it, each of these has the class folders; else every 10th file of a class is held
out for evaluation. What begins with a dot is passed over, as a Mac's `._cat.jpg`. No torch here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.training.workloads import _jpegs

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
EVAL_FOLDERS = ("val", "eval", "valid", "validation", "test")
HELD_OUT_EVERY = 10
"""Of a folder without a split, every so many-th file of a class is kept for evaluation."""
CHECKED_FILES = 2000
"""At most so many headers of a user's files are read before anything is measured."""
DECODED_FILES = 50
"""At most so many of them are decoded, because they do not end as images of their kind do."""
ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
"""By Pillow's name of the kind: JPEG's EOI marker; the type and the CRC of PNG's last chunk."""
MEMORY = "memory"
SMALLEST_SIDE = 16
"""Pixels: the networks' stem divides the side by 4, and two further stages by 2 each."""

Labelled = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Paths with their class numbers."""

    train: tuple[Labelled, ...]
    eval: tuple[Labelled, ...]
    classes: tuple[str, ...]


def prepare(config: RunConfig, progress: _jpegs.Progress) -> str | None:
    """Make sure that the images of a configuration are there and readable; return where.

    Images that are only ever in memory are nowhere.

    Raises:
        UsageError: there are none where the configuration says, one of them is no image, or there is
            no space or right to make them.
    """
    if config.text_of("data") == MEMORY:
        return None
    folder = _own_folder(config)
    if folder is None:
        return str(_jpegs.make(Path(config.cache_dir), progress))
    split = _split_of(folder)
    files = [path for path, _ in (*split.train, *split.eval)]
    checked = files[:: max(1, -(-len(files) // CHECKED_FILES))]
    suspects = [path for path in checked if not _looks_whole(path)]
    for path in suspects[:DECODED_FILES]:
        _decode(path)
    return str(folder)


def unreadable(path: str, error: Exception) -> str:
    """Say that an image cannot be read, and why."""
    if isinstance(error, UnidentifiedImageError):
        why = "it is no image, or of no known kind"
    else:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"cannot read image {path}: {why}"


def num_samples(config: RunConfig) -> int | None:
    """Return how many images there are to train on; None where there are as many as are asked for.

    Raises:
        UsageError: they are not there.
    """
    return None if _own_folder(config) is None else len(find(config).train)


def find(config: RunConfig) -> Split:
    """List the images of a configuration, in an order that depends on their names alone.

    Raises:
        UsageError: they are not there.
    """
    folder = _own_folder(config)
    return _split_of(Path(config.cache_dir) / _jpegs.NAME if folder is None else folder)


def _own_folder(config: RunConfig) -> Path | None:
    data = config.text_of("data")
    kind, _, path = data.partition(":")
    if data in ("jpeg", MEMORY):
        return None
    if kind != "folder" or not path:
        raise UsageError(f"unknown data {data!r}", hint="use jpeg, folder:PATH or memory")
    return Path(os.path.expanduser(path))


def _split_of(folder: Path) -> Split:
    try:
        return _split(folder)
    except OSError as error:
        raise UsageError(
            f"cannot read the folder of images {folder}: {error.strerror or error}"
        ) from error


def _split(folder: Path) -> Split:
    if not folder.is_dir():
        raise UsageError(
            f"there is no folder of images {folder}",
            hint="folder:PATH has a folder per class, or train/ and val/ with one per class each",
        )
    train = folder / "train" if (folder / "train").is_dir() else folder
    by_class = _by_class(train)
    held = next((folder / name for name in EVAL_FOLDERS if (folder / name).is_dir()), None)
    if held is not None and train != folder:
        kept = list(by_class.values())
        held_out = [_images_in(held / name) for name in by_class]
        if not any(held_out):
            raise UsageError(
                f"{held} has no images of the classes of {train}",
                hint="its folders should have the same names",
            )
    else:
        held_out = [files[::HELD_OUT_EVERY] for files in by_class.values()]
        kept = [
            [path for number, path in enumerate(files) if number % HELD_OUT_EVERY] or files
            for files in by_class.values()
        ]
    return Split(train=_mixed(kept), eval=_mixed(held_out), classes=tuple(by_class))


def _mixed(files: list[list[str]]) -> tuple[Labelled, ...]:
    """All files, going round the classes, so that any stretch of them holds many classes."""
    rounds = zip_longest(*files)
    return tuple((path, label) for each in rounds for label, path in enumerate(each) if path)


def _by_class(folder: Path) -> dict[str, list[str]]:
    """Return the images of each class folder that has any, by its name."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    listed = {name: _images_in(folder / name) for name in names if not name.startswith(".")}
    found = {name: files for name, files in listed.items() if files}
    if not found:
        raise UsageError(
            f"there are no class folders with images in {folder}",
            hint=f"it has a folder per class, with files that end in {', '.join(SUFFIXES)}",
        )
    if len(found) == 1:
        raise UsageError(
            f"{folder} has images of one class, {next(iter(found))}: two are needed to train on",
            hint="put the images of each class into a folder of its own",
        )
    return found


def _images_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    found: list[str] = []
    for where, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        images = (n for n in names if n.lower().endswith(SUFFIXES) and not n.startswith("."))
        found += (os.path.join(where, name) for name in images)
    return sorted(found)


def _raise(error: OSError) -> None:
    raise error


def _looks_whole(path: str) -> bool:
    """Whether an image begins as one and, where that tells, ends as one; files are cut short at the end."""
    with _usage_error_for(path), open(path, "rb") as file:
        end = ENDS.get(Image.open(file).format or "", b"")
        file.seek(max(0, file.seek(0, os.SEEK_END) - len(end)))
        return file.read() == end


def _decode(path: str) -> None:
    with _usage_error_for(path), Image.open(path) as image:
        image.load()


@contextmanager
def _usage_error_for(path: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # each of Pillow's decoders has its own for a damaged file
        raise UsageError(unreadable(path, error), hint="remove it or replace it") from error
