"""Finding plug-ins by the name of their file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perfkit import discovery
from perfkit.errors import UsageError

Write = Callable[[str, str], Path]
ROOMS = {"variants": "", "workloads": "training", "rules": "diagnosis", "remedies": "diagnosis"}
"""By kind, the room that its folder lies in."""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file into a folder that PERFKIT_PATH names."""
    monkeypatch.setenv("PERFKIT_PATH", str(tmp_path))

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("kind", ROOMS)
def test_every_file_of_ours_is_found(kind: str) -> None:
    """Sorted, without those that begin with an underscore."""
    found = discovery.names(kind)
    folder = Path(discovery.__file__).parent / ROOMS[kind] / kind
    assert list(found) == sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_"))
    assert "__init__" not in found


def test_ours_are_imported_as_part_of_the_package() -> None:
    """So that a plug-in and whoever imports it by its full name see one module."""
    assert discovery.load("variants", "amp").__name__ == "perfkit.variants.amp"


def test_a_file_of_a_strangers_is_enough(mine: Write) -> None:
    """Its name is the plug-in's; loading it twice gives the same module."""
    mine("variants/found_by_name.py", '"""One."""\nvalue = 42\n')
    mine("variants/_helper.py", "raise RuntimeError\n")
    mine("variants/notes.txt", "no plug-in")
    assert "found_by_name" in discovery.names("variants")
    assert not {"_helper", "notes"} & set(discovery.names("variants"))
    assert "found_by_name" not in discovery.names("rules")
    module = discovery.load("variants", "found_by_name")
    assert module.value == 42
    assert discovery.load("variants", "found_by_name") is module


def test_several_folders(mine: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Separated like PATH; empty parts name nothing."""
    mine("a/variants/in_a.py", "")
    mine("b/variants/in_b.py", "")
    parts = [str(tmp_path / "a"), "", str(tmp_path / "b")]
    monkeypatch.setenv("PERFKIT_PATH", os.pathsep.join(parts))
    assert {"in_a", "in_b"} <= set(discovery.names("variants"))


def test_listing_imports_nothing(mine: Write, tmp_path: Path) -> None:
    """A file that cannot be imported is listed like any other, and torch is not loaded."""
    mine("variants/explodes_when_imported.py", "raise RuntimeError('imported')\n")
    code = (
        "import sys; from perfkit import discovery;"
        "kinds = ('variants', 'workloads', 'rules', 'remedies');"
        "print(*(n for kind in kinds for n in discovery.names(kind)));"
        "assert not {'torch', 'perfkit.variants'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "explodes_when_imported" in done.stdout.split()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("raise RuntimeError('out of order')", "RuntimeError: out of order"),
        ("import no_such_module_at_all", "ModuleNotFoundError"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_file_that_cannot_be_imported(mine: Write, text: str, what: str) -> None:
    """A usage error with the file and its own error; a mended file is loaded."""
    path = mine("variants/cannot_be_imported.py", text)
    with pytest.raises(UsageError) as caught:
        discovery.load("variants", "cannot_be_imported")
    assert str(path) in caught.value.message
    assert what in caught.value.message
    path.write_text("mended = True  # and of another length\n")
    assert discovery.load("variants", "cannot_be_imported").mended


def test_two_files_of_one_name(mine: Write) -> None:
    """Neither wins: both are named."""
    path = mine("variants/amp.py", "")
    with pytest.raises(UsageError, match="two files define the variant 'amp'") as caught:
        discovery.names("variants")
    assert str(path) in caught.value.message


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Install a package that declares these entry points; returns its folder."""

    def install(declared: str) -> Path:
        folder = tmp_path / "site"
        (folder / "theirs-1.0.dist-info").mkdir(parents=True)
        (folder / "theirs-1.0.dist-info" / "METADATA").write_text("Name: theirs\nVersion: 1.0\n")
        (folder / "theirs-1.0.dist-info" / "entry_points.txt").write_text(declared)
        monkeypatch.syspath_prepend(str(folder))
        discovery._installed.cache_clear()
        return folder

    yield install
    discovery._installed.cache_clear()


def test_an_installed_package_brings_its_own(installed: Callable[[str], Path]) -> None:
    """By entry points, without PERFKIT_PATH; a workload of that name is known by it."""
    folder = installed("[perfkit.workloads]\nours_at_work = theirs_at_work\n")
    (folder / "theirs_at_work.py").write_text("value = 42\n")
    assert "ours_at_work" in discovery.names("workloads")
    assert "ours_at_work" not in discovery.names("variants")
    discovery.check_workload("ours_at_work")
    module, factory = discovery.load_workload("ours_at_work")
    assert (module.value, module.__name__, factory) == (42, "theirs_at_work", "factory")


def test_an_installed_package_that_is_broken(installed: Callable[[str], Path]) -> None:
    """What cannot be imported is told with its error, and a name that is taken with both places."""
    installed("[perfkit.rules]\nlost = theirs_that_is_lost\n[perfkit.variants]\namp = theirs_amp\n")
    with pytest.raises(UsageError, match=r"theirs_that_is_lost, .* ModuleNotFoundError"):
        discovery.load("rules", "lost")
    with pytest.raises(UsageError, match=r"'amp': .*amp\.py and theirs_amp of theirs") as caught:
        discovery.names("variants")
    assert caught.value.hint == "uninstall theirs, or rename the other"


def test_a_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A misspelt PERFKIT_PATH is said, not passed over."""
    monkeypatch.setenv("PERFKIT_PATH", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="is not a folder"):
        discovery.names("variants")


def test_an_unknown_name() -> None:
    """The nearest names are the hint; without any near, all of them."""
    with pytest.raises(UsageError, match="unknown variant 'chanels_last'") as caught:
        discovery.load("variants", "chanels_last")
    assert caught.value.hint == "did you mean channels_last?"
    with pytest.raises(UsageError, match="unknown rule 'zzz'") as caught:
        discovery.load("rules", "zzz")
    assert caught.value.hint == f"one of: {', '.join(discovery.names('rules'))}"


OWN = """
import torch
import beside
from torch.utils.data import Dataset


class Numbers(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.tensor(beside.SCALE * index)


def doubled(samples):
    return 2 * torch.stack(samples)
"""
PROGRAM = """
import sys
from pathlib import Path
from torch.utils.data import DataLoader
from perfkit import discovery

if __name__ == "__main__":
    for arch, path in [argument.split("=") for argument in sys.argv[2:]]:
        if path:
            module, _ = discovery.load_workload(path + ":factory")
        else:
            module = discovery.load("workloads", arch)
        loader = DataLoader(
            module.Numbers(), batch_size=4, num_workers=1, collate_fn=module.doubled,
            multiprocessing_context=sys.argv[1],
        )
        print([batch.tolist() for batch in loader])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forkserver is POSIX's")
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_that_are_not_forked_find_what_a_file_defines(tmp_path: Path, method: str) -> None:
    """Dataset and collate of a file whose name is no identifier or the main script's, and of a plug-in."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    (second / "workloads").mkdir(parents=True)
    (first / "beside.py").write_text("SCALE = 3\n")
    (first / "01_in.memory.py").write_text(OWN)
    (first / "program.py").write_text(OWN)
    own = OWN.replace("import beside", "class beside: SCALE = 5")
    (second / "workloads" / "numbers_of_mine.py").write_text(own)
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    files = [f"a={first / '01_in.memory.py'}", f"b={first / 'program.py'}", "numbers_of_mine="]
    done = subprocess.run(
        [sys.executable, str(script), method, *files],
        env={**os.environ, "PERFKIT_PATH": str(second)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    in_file, in_folder = [[0, 6, 12, 18], [24, 30, 36, 42]], [[0, 10, 20, 30], [40, 50, 60, 70]]
    assert done.stdout.splitlines() == [str(in_file), str(in_file), str(in_folder)]


def test_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    """Each is the file that was asked for."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"WHERE = {folder!r}\n")
    loaded = [discovery.load_workload(f"{tmp_path / f / 'mine.py'}:factory")[0] for f in "ab"]
    assert [module.WHERE for module in loaded] == ["a", "b"]
