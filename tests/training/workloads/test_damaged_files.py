"""Files that are no whole image, or look as if they were none: what is refused, and what is trained on."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from own_settings import having
from PIL import Image

from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.training.workloads import _files
from perfkit.training.workloads._images import EvalCrop, Images


@pytest.fixture
def own(config: RunConfig, tmp_path: Path) -> RunConfig:
    """A configuration of two classes of one image each, in `tmp_path`."""
    for name in ("a/1.jpg", "b/2.png"):
        (tmp_path / name).parent.mkdir()
        noise().save(tmp_path / name)
    return having(config, data=f"folder:{tmp_path}")


def noise() -> Image.Image:
    """An image that does not compress."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))


def check(config: RunConfig) -> str | None:
    """Prepare, and expect that nothing is made."""
    return _files.prepare(config, lambda *each: pytest.fail("progress of a folder that is there"))


def bomb(path: Path) -> None:
    """A PNG of some bytes that says it is 30,000 pixels wide and high."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 30000, 30000, 1, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def cut(path: Path) -> None:
    """An image whose header is whole and whose pixels end in the middle."""
    noise().save(path)
    path.write_bytes(path.read_bytes()[:2500])


def empty(path: Path) -> None:
    """A file of no bytes."""
    path.touch()


def text(path: Path) -> None:
    """A file that is something else."""
    path.write_text("<html>404 not found</html>")


def broken_link(path: Path) -> None:
    """A link to nowhere."""
    path.symlink_to(path.parent / "gone" / "image.png")


@pytest.mark.parametrize(
    ("spoil", "name", "why"),
    [
        (bomb, "3.png", "900000000 pixels"),
        (cut, "3.jpg", "truncated"),
        (cut, "3.JPEG", "truncated"),
        (cut, "3.png", "truncated"),
        (empty, "3.jpg", "it is no image, or of no known kind"),
        (text, "[red] ein Bild – 猫.jpg", "it is no image, or of no known kind"),
        (broken_link, "3.jpg", "No such file or directory"),
    ],
)
def test_what_is_no_image_is_refused(
    own: RunConfig, tmp_path: Path, spoil: Callable[[Path], None], name: str, why: str
) -> None:
    """Before anything is measured, by its name and with the reason; a worker says the same."""
    path = tmp_path / "b" / name
    spoil(path)
    with pytest.raises(UsageError) as caught:
        check(own)
    message = caught.value.message
    assert message.startswith(f"cannot read image {path}: ")
    assert why in message and message.count(str(path)) == 1
    assert caught.value.hint == "remove it or replace it"
    with pytest.raises(OSError) as met:
        Images([(str(path), 0)], 1, EvalCrop(16))[0]
    assert str(met.value) == message


def trailing(path: Path) -> None:
    """A JPEG with something after its end, as some cameras write it."""
    noise().save(path)
    path.write_bytes(path.read_bytes() + b"SEFT" + bytes(40))


def broken_exif(path: Path) -> None:
    """A JPEG whose EXIF block points beyond itself."""
    noise().save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xffgarbage")


def nonsense_exif(path: Path) -> None:
    """A JPEG whose EXIF block is none."""
    noise().save(path, exif=b"Exif\0\0nonsense")


def misnamed(path: Path) -> None:
    """A PNG that is called a JPEG."""
    noise().save(path, "PNG")


def palette_with_transparency(path: Path) -> None:
    """A palette image with an alpha value for each colour."""
    noise().convert("P").save(path, "PNG", transparency=bytes(range(256)))


def one_pixel(path: Path) -> None:
    """The smallest image."""
    Image.new("RGB", (1, 1)).save(path)


def thin(path: Path) -> None:
    """Three pixels high."""
    Image.new("RGB", (2000, 3)).save(path)


@pytest.mark.parametrize(
    "make",
    [
        trailing,
        broken_exif,
        nonsense_exif,
        misnamed,
        palette_with_transparency,
        one_pixel,
        thin,
    ],
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Palette images with Transparency")
def test_odd_images_are_trained_on(
    own: RunConfig, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """Whatever decodes is an image, whatever else is wrong with it."""
    path = tmp_path / "b" / "3 [odd] é.jpg"
    make(path)
    assert check(own) == str(tmp_path)
    assert str(path) in [name for name, _ in _files.find(own).train]
    pixels, _ = Images([(str(path), 0)], 1, EvalCrop(16))[0]
    assert pixels.shape == (3, 16, 16) and bool(torch.isfinite(pixels).all())


def test_what_systems_leave_is_passed_over(own: RunConfig, tmp_path: Path) -> None:
    """A Mac's `._` files, hidden folders and folders named like images are no images."""
    before = _files.find(own)
    text(tmp_path / "a/._1.jpg")
    for name in ("a/.ipynb_checkpoints", "b/album.jpg", ".cache"):
        (tmp_path / name).mkdir()
    text(tmp_path / "a/.ipynb_checkpoints/1-checkpoint.jpg")
    assert check(own) == str(tmp_path)
    assert _files.find(own) == before


def test_a_class_that_may_not_be_listed_is_no_empty_class(
    own: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system refuses a class folder it is named; silence would train on the others."""
    (tmp_path / "c").mkdir()
    listed = os.scandir

    def scan(path: str) -> object:
        if Path(path).name == "c":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scan)
    with pytest.raises(UsageError, match=f"cannot read the folder of images {tmp_path}: Perm"):
        check(own)


def test_few_are_decoded(own: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what does not end as its kind does is decoded, and not more of it than DECODED_FILES."""
    for number in range(3, 9):
        trailing(tmp_path / f"b/{number}.jpg")
    decoded: list[str] = []
    monkeypatch.setattr(_files, "_decode", decoded.append)
    check(own)
    assert {Path(path).name for path in decoded} == {f"{number}.jpg" for number in range(3, 9)}
    decoded.clear()
    monkeypatch.setattr(_files, "DECODED_FILES", 2)
    check(own)
    assert len(decoded) == 2
