"""Which files a configuration trains on, and what is refused before anything is measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from own_settings import having
from PIL import Image

from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.training.workloads import _files, _jpegs


def images(folder: Path, *names: str) -> None:
    """Write images of one colour below a folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "teal").save(path)


def of(config: RunConfig, folder: Path) -> RunConfig:
    """The configuration with a folder of one's own."""
    return having(config, data=f"folder:{folder}")


def names(files: Iterable[tuple[str, int]]) -> list[str]:
    """Class folder and name of files."""
    return ["/".join(Path(path).parts[-2:]) for path, _ in files]


def check(config: RunConfig) -> str | None:
    """Prepare, and expect that nothing is made."""
    return _files.prepare(config, lambda *each: pytest.fail("progress of a folder that is there"))


def test_the_generated_images_have_their_own_split(config: RunConfig) -> None:
    """Class numbers follow the folders' names, and no file is in both parts."""
    split = _files.find(config)
    assert split.classes == ("00", "01", "02", "03")
    assert (len(split.train), len(split.eval)) == (24, 12)
    assert not {path for path, _ in split.train} & {path for path, _ in split.eval}
    for path, label in (*split.train, *split.eval):
        assert Path(path).parent.name == split.classes[label]


def test_any_stretch_holds_all_classes(config: RunConfig) -> None:
    """Files go round the classes, so that an epoch of few samples still has every class."""
    assert [label for _, label in _files.find(config).train[:8]] == [0, 1, 2, 3, 0, 1, 2, 3]


def test_without_a_split_every_tenth_file_is_held_out(config: RunConfig, tmp_path: Path) -> None:
    """Of eleven files two are evaluated on, of one it is the one, and nothing else is in both parts."""
    images(tmp_path, *(f"cats/{n:02d}.png" for n in range(11)), "dogs/only.jpeg")
    split = _files.find(of(config, tmp_path))
    assert split.classes == ("cats", "dogs")
    assert sorted(names(split.eval)) == ["cats/00.png", "cats/10.png", "dogs/only.jpeg"]
    assert len(split.train) == 10
    assert set(names(split.train)) & set(names(split.eval)) == {"dogs/only.jpeg"}


@pytest.mark.parametrize("held", _files.EVAL_FOLDERS)
def test_a_split_of_ones_own_is_kept(config: RunConfig, tmp_path: Path, held: str) -> None:
    """train/ beside val/ or its like: the classes are train's, in both parts."""
    images(tmp_path, "train/a/1.png", "train/b/2.png", f"{held}/b/3.png", f"{held}/c/4.png")
    split = _files.find(of(config, tmp_path))
    assert split.classes == ("a", "b")
    assert names(split.train) == ["a/1.png", "b/2.png"]
    assert [(Path(path).name, label) for path, label in split.eval] == [("3.png", 1)]


def test_train_alone_is_split(config: RunConfig, tmp_path: Path) -> None:
    """With train/ and nothing to evaluate on, every tenth file of train/ is held out."""
    images(tmp_path, *(f"train/{c}/{n}.png" for c in "ab" for n in range(10)))
    split = _files.find(of(config, tmp_path))
    assert names(split.eval) == ["a/0.png", "b/0.png"]
    assert len(split.train) == 18


def test_only_images_in_class_folders_count(config: RunConfig, tmp_path: Path) -> None:
    """Hidden folders, empty ones and other files are no classes and no images; letter case is nothing."""
    images(tmp_path, "a/1.PNG", "b/deep/2.jpg", ".thumbnails/3.png", "4.png")
    (tmp_path / "a/notes.txt").write_text("not an image")
    (tmp_path / "empty").mkdir()
    split = _files.find(of(config, tmp_path))
    assert split.classes == ("a", "b")
    assert {Path(path).name for path, _ in split.train} == {"1.PNG", "2.jpg"}


def test_a_good_folder_is_where_the_data_is(config: RunConfig, tmp_path: Path) -> None:
    """What prepare returns is the user's own folder."""
    images(tmp_path, "a/1.png", "b/2.png")
    assert check(of(config, tmp_path)) == str(tmp_path)


def test_generated_images_are_made_into_the_cache(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: _jpegs.Sizes
) -> None:
    """Without a folder of one's own, prepare makes the images, tells its progress and says where."""
    monkeypatch.setattr(_jpegs, "Sizes", lambda: sizes)
    seen: list[tuple[int, int, str]] = []
    empty = replace(config, cache_dir=str(tmp_path / "new"))
    path = _files.prepare(empty, lambda *each: seen.append(each))
    assert path == str(tmp_path / "new" / _jpegs.NAME)
    assert seen == [(sizes.files, sizes.files, path)]
    assert len(_files.find(empty).train) == 24


def test_images_in_memory_are_nowhere(config: RunConfig, tmp_path: Path) -> None:
    """Nothing is made or looked for when images are only ever in memory."""
    nowhere = replace(having(config, data="memory"), cache_dir=str(tmp_path / "never"))
    assert check(nowhere) is None
    assert not (tmp_path / "never").exists()


def missing(folder: Path) -> None:
    """Leave out the folder."""
    folder.rmdir()


def nothing(folder: Path) -> None:
    """Leave it empty."""


def no_images(folder: Path) -> None:
    """Class folders with other files."""
    for name in "ab":
        (folder / name).mkdir()
        (folder / name / "notes.txt").write_text("not an image")


def no_class_folders(folder: Path) -> None:
    """Images that are in no class."""
    images(folder, "1.png", "2.png")


def one_class(folder: Path) -> None:
    """A second class that has no image."""
    images(folder, "a/1.png")
    (folder / "b").mkdir()


def other_classes(folder: Path) -> None:
    """Evaluation on classes that were never trained on."""
    images(folder, "train/a/1.png", "train/b/2.png", "val/c/3.png")


def unreadable(folder: Path) -> None:
    """An image that is none."""
    images(folder, "a/1.png", "b/2.png")
    (folder / "b/3.jpg").write_bytes(b"not a JPEG")


@pytest.mark.parametrize(
    ("spoil", "message", "hint"),
    [
        (missing, "there is no folder of images FOLDER", "a folder per class"),
        (nothing, "there are no class folders with images in FOLDER", "a folder per class"),
        (no_images, "there are no class folders with images in FOLDER", ".jpg"),
        (no_class_folders, "there are no class folders with images in FOLDER", "folder per class"),
        (one_class, "FOLDER has images of one class, a: two are needed", "of its own"),
        (other_classes, "FOLDER/val has no images of the classes of FOLDER/train", "same names"),
        (unreadable, "cannot read image FOLDER/b/3.jpg: ", "remove it"),
    ],
)
def test_a_bad_folder_is_a_usage_error(
    config: RunConfig, tmp_path: Path, spoil: object, message: str, hint: str
) -> None:
    """What is wrong with a folder is said before anything is measured, and what to do about it."""
    folder = tmp_path / "images"
    folder.mkdir()
    assert callable(spoil)
    spoil(folder)
    with pytest.raises(UsageError) as caught:
        check(of(config, folder))
    assert message.replace("FOLDER", str(folder)) in caught.value.message
    assert hint in (caught.value.hint or "")
    assert caught.value.exit_code == 2


def test_a_folder_without_permission_is_a_usage_error(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that may not be listed is named with the system's own reason."""

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UsageError, match=f"{tmp_path}: Permission denied"):
        check(of(config, tmp_path))


def test_headers_of_a_large_folder_are_sampled(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many files there are, at most CHECKED_FILES of them are opened, spread over all."""
    images(tmp_path, *(f"{c}/{n}.png" for c in "ab" for n in range(7)))
    opened: list[str] = []

    def look(path: str) -> bool:
        opened.append(path)
        return True

    monkeypatch.setattr(_files, "CHECKED_FILES", 5)
    monkeypatch.setattr(_files, "_looks_whole", look)
    check(of(config, tmp_path))
    assert len(set(opened)) == 5
    assert len({Path(path).parent.name for path in opened}) == 2


@pytest.mark.parametrize("data", ["webp", "folder", "folder:", "jpeg:there"])
def test_unknown_data_is_a_usage_error(config: RunConfig, data: str) -> None:
    """What is none of the known kinds is refused, before and while it is built, and they are named."""
    for ask in (check, _files.find):
        with pytest.raises(UsageError, match="unknown data") as caught:
            ask(having(config, data=data))
        hint = caught.value.hint or ""
        assert "jpeg" in hint and "folder:PATH" in hint
