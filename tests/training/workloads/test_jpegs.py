"""The generated images: the same everywhere, made once, remade when damaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from perfkit.errors import UsageError
from perfkit.training.workloads import _jpegs
from perfkit.training.workloads._jpegs import Sizes

MAKE = """
import sys
from pathlib import Path
from perfkit.training.workloads import _jpegs

def progress(done, total, path):
    print("progress", done, total, flush=True)
    if sys.argv[2] == "pause":
        sys.stdin.readline()

print("ready", flush=True)
sys.stdin.readline()
sizes = _jpegs.Sizes(classes=4, train_per_class=60, eval_per_class=4, side=32)
print("made", _jpegs.make(Path(sys.argv[1]), progress, sizes))
"""
"""Makes 256 images once it is told to, and prints its progress; with `pause` it stays in the first."""
MADE = Sizes(classes=4, train_per_class=60, eval_per_class=4, side=32)


def quietly(done: int, total: int, path: str) -> None:
    """Ignore progress."""


def never(done: int, total: int, path: str) -> None:
    """Refuse to be called."""
    raise AssertionError("it was made again")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name in it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def maker(cache: Path, manner: str = "go on") -> subprocess.Popen[str]:
    """Start a process that makes images in `cache` on a line of input, and wait until it could."""
    child = subprocess.Popen(
        [sys.executable, "-c", MAKE, str(cache), manner],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def go(child: subprocess.Popen[str]) -> None:
    """Let a maker begin."""
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


def test_two_makes_give_the_same_bytes(tmp_path: Path, small_cache: Path, sizes: Sizes) -> None:
    """Nothing but class, number and size decides what a file holds, threads and time least of all."""
    again = _jpegs.make(tmp_path, quietly, sizes)
    made = contents(again)
    assert made == contents(small_cache / _jpegs.NAME)
    assert len(made) == sizes.files + 1
    assert len(set(made.values())) == len(made)


def test_a_manifest_lists_every_file_with_its_checksum(small_cache: Path, sizes: Sizes) -> None:
    """What is checked before every run is the whole tree, train and eval."""
    folder = small_cache / _jpegs.NAME
    manifest = json.loads((folder / "manifest.json").read_text())["files"]
    images = {name: data for name, data in contents(folder).items() if name.endswith(".jpg")}
    assert manifest == {name: zlib.crc32(data) for name, data in images.items()}
    assert sum(name.startswith("train/") for name in manifest) == 24
    assert sum(name.startswith("eval/") for name in manifest) == 12


def test_the_default_is_within_its_size(tmp_path: Path) -> None:
    """2,048 and 512 files of 32 classes; by a sample of each class they stay under 100 MB."""
    default = Sizes()
    assert (default.classes, default.side) == (32, 160)
    assert (default.train_per_class * 32, default.eval_per_class * 32) == (2048, 512)
    for label in range(32):
        _jpegs._write(tmp_path / f"{label}.jpg", label, 0, default.side)
    sample = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert 5e6 < sample / 32 * default.files < 60e6


def test_files_of_a_class_differ_less_than_classes() -> None:
    """Colours belong to the class: training on these images means something."""
    means = [
        [_jpegs.pattern(label, number, 32).mean((0, 1)) for number in range(6)]
        for label in range(8)
    ]
    centres = [sum(of_class) / len(of_class) for of_class in means]
    within = [
        abs(mean - centre).sum()
        for of_class, centre in zip(means, centres, strict=True)
        for mean in of_class
    ]
    between = [abs(a - b).sum() for a in centres for b in centres if a is not b]
    assert 2 * sum(within) / len(within) < sum(between) / len(between)


def test_what_is_there_is_not_made_again(small_cache: Path, sizes: Sizes) -> None:
    """A whole tree is found without taking the lock or writing anything."""
    assert _jpegs.make(small_cache, never, sizes) == small_cache / _jpegs.NAME


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    """Progress grows to the number of files and names where they go."""
    seen: list[tuple[int, int, str]] = []
    folder = _jpegs.make(tmp_path, lambda *each: seen.append(each), MADE)
    assert [done for done, _, _ in seen] == [64, 128, 192, 256]
    assert {(total, path) for _, total, path in seen} == {(256, str(folder))}


def _truncate(folder: Path) -> None:
    image = folder / "train/01/0002.jpg"
    image.write_bytes(image.read_bytes()[:-1])


def _zero(folder: Path) -> None:
    image = folder / "train/02/0001.jpg"
    image.write_bytes(bytes(image.stat().st_size))


def _flip(folder: Path) -> None:
    image = folder / "train/03/0005.jpg"
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(content)


def _remove(folder: Path) -> None:
    (folder / "eval/03/0007.jpg").unlink()


def _spoil_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"files": {"train/00/0000')


def _list_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('[{"files": 3}]')


def _shorten_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"files": {}}')


def _remove_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        _truncate,
        _zero,
        _flip,
        _remove,
        _spoil_manifest,
        _list_manifest,
        _shorten_manifest,
        _remove_manifest,
    ],
)
def test_a_damaged_tree_is_made_again(
    tmp_path: Path, small_cache: Path, sizes: Sizes, damage: Callable[[Path], None]
) -> None:
    """A file cut short, changed or gone, a manifest torn or gone: the tree is as it was, and no more."""
    folder = _jpegs.make(tmp_path, quietly, sizes)
    damage(folder)
    assert not _jpegs.is_whole(folder, sizes)
    _jpegs.make(tmp_path, quietly, sizes)
    assert contents(folder) == contents(small_cache / _jpegs.NAME)
    assert {path.name for path in tmp_path.iterdir()} <= {_jpegs.NAME, f"{_jpegs.NAME}.lock"}


def test_two_makers_at_once_make_it_once(tmp_path: Path) -> None:
    """Of two processes let go together one makes the images, and the other finds them."""
    makers = [maker(tmp_path), maker(tmp_path)]
    for child in makers:
        go(child)
    said = [child.communicate(timeout=60)[0] for child in makers]
    assert [child.returncode for child in makers] == [0, 0]
    assert all(f"made {tmp_path / _jpegs.NAME}" in text for text in said)
    assert sorted(text.count("progress") for text in said) == [0, 4]
    assert _jpegs.is_whole(tmp_path / _jpegs.NAME, MADE)


def test_a_killed_maker_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    """kill -9 half-way: there is no tree, and the next maker removes what was left and makes one."""
    child = maker(tmp_path, "pause")
    go(child)
    assert child.stdout is not None
    assert child.stdout.readline() == "progress 64 256\n"
    assert not (tmp_path / _jpegs.NAME).exists()
    assert list(tmp_path.glob("*.making-*"))
    child.kill()
    child.communicate(timeout=60)
    assert _jpegs.is_whole(_jpegs.make(tmp_path, quietly, MADE), MADE)
    assert not list(tmp_path.glob("*.making-*"))


def test_a_cache_that_cannot_be_a_folder_is_a_usage_error(tmp_path: Path, sizes: Sizes) -> None:
    """The message says where and why, the hint how to have the cache elsewhere."""
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UsageError) as caught:
        _jpegs.make(tmp_path / "taken", quietly, sizes)
    assert str(tmp_path / "taken") in caught.value.message
    assert caught.value.exit_code == 2
    assert "PERFKIT_CACHE_DIR" in (caught.value.hint or "")


def test_a_cache_without_permission_is_a_usage_error(
    tmp_path: Path, sizes: Sizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that the user may not write to is named with the system's own reason."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_jpegs, "FileLock", refuse)
    with pytest.raises(UsageError, match=r"cannot make the training images in .*Permission denied"):
        _jpegs.make(tmp_path, quietly, sizes)


@pytest.mark.skipif(os.name != "posix", reason="sets a limit of POSIX")
@pytest.mark.parametrize("limit", [0, 500, 5000])
def test_no_space_is_a_usage_error_that_leaves_nothing(tmp_path: Path, limit: int) -> None:
    """A limit on file sizes stands in for a full disk, met by the first image or by the manifest."""
    script = (
        "import resource\n"
        "from pathlib import Path\n"
        "from perfkit.errors import UsageError\n"
        "from perfkit.training.workloads import _jpegs\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "try:\n"
        f"    _jpegs.make(Path({str(tmp_path)!r}), lambda *each: None,\n"
        "        _jpegs.Sizes(classes=4, train_per_class=60, eval_per_class=4, side=32))\n"
        "except UsageError as error:\n"
        "    print(error.message, error.hint, sep=' | ')\n"
    )
    # -B: a limit cuts short the bytecode of an import too
    done = subprocess.run([sys.executable, "-B", "-c", script], capture_output=True, text=True)
    assert "File too large | set PERFKIT_CACHE_DIR" in done.stdout, done.stderr
    assert not list(tmp_path.glob("*.making-*"))
    assert not (tmp_path / _jpegs.NAME).exists()
