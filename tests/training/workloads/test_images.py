"""Reading, decoding and augmenting: shapes, values, randomness and what a bad file says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_settings import having
from PIL import Image
from torch.utils.data import DataLoader, default_collate

from perfkit.config import RunConfig
from perfkit.training.failures import classify
from perfkit.training.workloads import _images
from perfkit.training.workloads._images import EvalCrop, Images, TrainCrop


def test_a_sample_is_a_float_image_and_its_class(config: RunConfig) -> None:
    """Samples are float32 CHW of the asked size, as many as asked for, and a batch is contiguous."""
    train, held_out, classes = _images.datasets(config)
    assert (len(train), len(held_out), classes) == (40, 12, 4)
    for dataset in (train, held_out):
        pixels, label = dataset[5]
        assert (pixels.dtype, pixels.shape, label) == (torch.float32, (3, 16, 16), 1)
        assert default_collate([dataset[0], dataset[1]])[0].is_contiguous()


def test_files_are_gone_over_again(config: RunConfig) -> None:
    """Sample 24 of 24 files is the first file's; past the length there is nothing."""
    train, held_out, _ = _images.datasets(config)
    torch.manual_seed(3)
    first = train[0][0]
    torch.manual_seed(3)
    assert torch.equal(train[24][0], first)
    with pytest.raises(IndexError):
        train[40]
    assert len(list(held_out)) == 12


def test_pixels_are_normalised_by_channel(tmp_path: Path) -> None:
    """An image of one colour becomes (colour ÷ 255 − mean) ÷ deviation, cropped or not."""
    Image.new("RGB", (40, 30), (255, 0, 51)).save(tmp_path / "one.png")
    expected = [(1.0 - 0.485) / 0.229, (0.0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    for crop in (TrainCrop(8), EvalCrop(8)):
        pixels, _ = Images([(str(tmp_path / "one.png"), 0)], 1, crop)[0]
        for channel, value in zip(pixels, expected, strict=True):
            torch.testing.assert_close(channel, torch.full((8, 8), value))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_every_kind_of_image_has_three_channels(tmp_path: Path, mode: str) -> None:
    """Grey, palette, transparent and printers' images are trained on as colour."""
    Image.new("RGB", (20, 20), "white").convert(mode).save(tmp_path / "one.tiff")
    pixels, _ = Images([(str(tmp_path / "one.tiff"), 0)], 1, EvalCrop(8))[0]
    assert pixels.shape == (3, 8, 8)


def test_augmentation_follows_torchs_seed(config: RunConfig) -> None:
    """One seed gives one crop, another another: workers, which torch seeds, are reproducible."""
    train, _, _ = _images.datasets(config)

    def drawn(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return [train[0][0] for _ in range(3)]

    once, again, other = drawn(1), drawn(1), drawn(2)
    assert all(map(torch.equal, once, again))
    assert not torch.equal(once[0], once[1])
    assert not torch.equal(once[0], other[0])


def ramp() -> Image.Image:
    """A wide image whose red grows to the right and whose green grows downwards, to 200 each."""
    red = np.tile(np.linspace(0, 200, 60), (30, 1))
    green = np.tile(np.linspace(0, 200, 30)[:, None], (1, 60))
    return Image.fromarray(np.stack([red, green, red * 0], -1).astype(np.uint8))


def test_the_middle_is_evaluated() -> None:
    """Of a wide image the middle square, in its own proportions, the same every time."""
    crop = EvalCrop(10)
    pixels = np.array(crop(ramp())).astype(float)
    assert np.array_equal(pixels, np.array(crop(ramp())))
    assert pixels[:, :, 0].min() > 45 and pixels[:, :, 0].max() < 155
    assert pixels[:, :, 1].min() < 10 and pixels[:, :, 1].max() > 190


def test_training_crops_are_parts_of_the_image_and_mirrored_by_halves() -> None:
    """A crop covers 35 % of the image or more, lies anywhere, and half of them are mirrored."""
    torch.manual_seed(0)
    crops = [np.array(TrainCrop(10)(ramp())).astype(float) for _ in range(400)]
    mirrored = [crop[5, 0, 0] > crop[5, -1, 0] for crop in crops]
    assert 160 < sum(mirrored) < 240
    widths = np.array([np.ptp(crop[5, :, 0]) for crop in crops]) / 200
    heights = np.array([np.ptp(crop[:, 5, 1]) for crop in crops]) / 200
    # the outermost pixels of a crop of ten are a tenth of it inside its edges
    areas = widths * heights / 0.9**2
    assert areas.min() > 0.25 and areas.max() <= 1.15
    assert np.std([crop[:, :, 0].mean() for crop in crops]) > 5
    assert np.std([crop[:, :, 1].mean() for crop in crops]) > 2


def damaged(folder: Path) -> str:
    """A JPEG whose header is whole and whose pixels are cut short."""
    path = folder / "cut.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    return str(path)


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    """A file that is cut short, is no image or is gone raises an error that says which."""
    (tmp_path / "text.png").write_text("not an image")
    for path in (damaged(tmp_path), str(tmp_path / "text.png"), str(tmp_path / "gone.png")):
        with pytest.raises(OSError, match=f"cannot read image {path}: "):
            Images([(path, 0)], 1, EvalCrop(8))[0]


def test_an_image_too_large_for_memory_is_no_bad_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exhausted memory stays what it is: its row is `oom`, not `error`."""

    def exhausted(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", exhausted)
    with pytest.raises(MemoryError):
        Images([("any.png", 0)], 1, EvalCrop(8))[0]


def test_a_worker_passes_the_name_on(tmp_path: Path) -> None:
    """Through a loader's worker the row's one line still names the image."""
    path = damaged(tmp_path)
    batches: Any = iter(DataLoader(Images([(path, 0)], 4, TrainCrop(8)), num_workers=1))
    with pytest.raises(OSError, match="cannot read image") as caught:
        next(batches)
    # the error's frames hold it, and a worker that the garbage collector ends takes five seconds
    batches._shutdown_workers()
    status, message = classify(caught.value)
    assert status == "error"
    assert message.startswith(f"OSError: cannot read image {path}: ")


def test_workers_draw_differently_and_again_the_same(tmp_path: Path) -> None:
    """Two workers on one image make different crops; with the same seed both make theirs again."""
    ramp().save(tmp_path / "one.png")
    dataset = Images([(str(tmp_path / "one.png"), 0)], 2, TrainCrop(8))

    def crops() -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(5)
        loader = DataLoader(dataset, batch_size=1, num_workers=2, generator=generator)
        return [pixels for pixels, _ in loader]

    first, again = crops(), crops()
    assert not torch.equal(first[0], first[1])
    assert all(map(torch.equal, first, again))


def test_images_in_memory_need_no_files(config: RunConfig, tmp_path: Path) -> None:
    """`data=memory` holds decoded images of every generated class, evaluated on others than trained on."""
    in_memory = having(config, data="memory")
    nowhere = replace(in_memory, num_samples=600, cache_dir=str(tmp_path / "never"))
    train, held_out, classes = _images.datasets(nowhere)
    assert (len(train), len(held_out), classes) == (600, 12, 32)
    pixels, label = train[33]
    assert (pixels.dtype, pixels.shape, label) == (torch.float32, (3, 16, 16), 1)
    assert torch.equal(pixels, train[33][0])
    assert not torch.equal(pixels, train[1][0])
    assert {label for _, label in (train[i] for i in range(32))} == set(range(32))
    assert not any(torch.equal(held_out[0][0], train[i][0]) for i in range(600))
    with pytest.raises(IndexError):
        train[600]
    assert not (tmp_path / "never").exists()
