"""Finding plug-ins by the name of their file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from perfkit import discovery
from perfkit.errors import UsageError

Write = Callable[[str, str], Path]


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


@pytest.mark.parametrize("kind", ["variants", "workloads", "rules"])
def test_every_file_of_ours_is_found(kind: str) -> None:
    """Sorted, without those that begin with an underscore."""
    found = discovery.names(kind)
    folder = Path(discovery.__file__).parent / discovery._FOLDERS[kind]
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
        "print(*(n for kind in ('variants', 'workloads', 'rules') for n in discovery.names(kind)));"
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
    del sys.modules["perfkit_path_variants_cannot_be_imported"]


def test_two_files_of_one_name(mine: Write) -> None:
    """Neither wins: both are named."""
    path = mine("variants/amp.py", "")
    with pytest.raises(UsageError, match="two files define the variant 'amp'") as caught:
        discovery.names("variants")
    assert str(path) in caught.value.message


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
