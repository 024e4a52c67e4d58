"""The run folder and the study folder: where things lie, and that they come back after any death."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from perfkit.config import RunConfig
from perfkit.errors import DamagedFile, PerfkitError, UsageError
from perfkit.runfolder import (
    RunFolder,
    StudyFolder,
    cannot_write,
    chain,
    out_of_space,
    read_as,
    read_json,
    write_json,
)

CONFIG = RunConfig(arch="convnext", variants=(("amp", None), ("num_workers", "2")), num_workers=2)


def test_a_run_folder_has_its_rank_from_the_first_day(tmp_path: Path) -> None:
    """Rank 0 is a folder of its own also when there is no other; nothing is measured yet."""
    folder = RunFolder.create(tmp_path / "processes" / "0-1", CONFIG)
    found = {p.relative_to(folder.path).as_posix() for p in folder.path.rglob("*")}
    assert found == {"config.json", "ranks", "ranks/0", "ranks/0/loader"}
    assert folder.config() == CONFIG
    rank = folder.rank(0)
    assert (rank.steps.name, rank.loader.is_dir()) == ("steps.bin", True)
    assert list(rank.events.read()) == []
    assert folder.rank(3).path == folder.path / "ranks" / "3"
    assert folder.log.parent == folder.path


def test_a_run_folder_is_made_once(tmp_path: Path) -> None:
    """What was measured is not written over."""
    folder = RunFolder.create(tmp_path / "0-1", CONFIG)
    folder.rank(0).steps.write_bytes(b"measured")
    with pytest.raises(PerfkitError, match="cannot make"):
        RunFolder.create(tmp_path / "0-1", RunConfig(arch="other"))
    assert folder.rank(0).steps.read_bytes() == b"measured"
    assert folder.config() == CONFIG


def test_status_is_replaced_whole(tmp_path: Path) -> None:
    """The last word counts, and a reader never finds half of it."""
    folder = RunFolder.create(tmp_path / "0-1", CONFIG)
    for status in ({"status": "running", "message": "x" * 99}, {"status": "oom", "message": None}):
        folder.write("status", status)
        assert read_json(folder.path / "status.json") == status
    assert not list(folder.path.glob(".*"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read"),
        ("", "cannot read"),
        ('{"arch": "x"', "cannot read"),
        ("[" * 100_000, "cannot read"),
        ("[]", "should be an object"),
        ('{"arch": 7}', "arch should be str, not 7"),
        ('{"arch": "x", "batch_size": 0}', "batch_size is 0: it should be at least 1"),
    ],
)
def test_a_damaged_configuration(tmp_path: Path, text: str | None, message: str) -> None:
    """A clear error that names the file, and the field where it is one."""
    folder = RunFolder.create(tmp_path / "0-1", CONFIG)
    path = folder.path / "config.json"
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(DamagedFile) as caught:
        folder.config()
    assert message in caught.value.message
    assert str(path) in caught.value.message
    with pytest.raises(DamagedFile):
        read_as(RunConfig, path)


def test_json_files_are_readable_by_others(tmp_path: Path) -> None:
    """Text of any alphabet in UTF-8; a colleague may read it."""
    path = tmp_path / "x.json"
    write_json(path, {"text": "7×7"})
    assert path.read_text(encoding="utf-8") == '{\n  "text": "7×7"\n}\n'
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_studies_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    """Each whole, below a root that git ignores."""
    studies = [StudyFolder.create("bench", root=tmp_path / ".perfkit") for _ in range(3)]
    assert len({study.path for study in studies}) == 3
    assert (tmp_path / ".perfkit" / ".gitignore").read_text() == "*\n"
    for study in studies:
        assert {p.name for p in study.path.iterdir()} == {"processes", "generations", "telemetry"}
        assert study.process(2, 1) == study.path / "processes" / "2-1"
        assert study.generation(4) == study.path / "generations" / "4.json"
        assert study.document.parent == study.baton.path.parent == study.telemetry.parent


def test_a_gitignore_of_the_users_is_kept(tmp_path: Path) -> None:
    """They may want their studies in git."""
    (tmp_path / ".gitignore").write_text("processes/\n")
    StudyFolder.create("bench", root=tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "processes/\n"


def test_finding_a_study(tmp_path: Path) -> None:
    """By its folder, by a file in it, or as the latest, also among those of one second."""
    first, second = (StudyFolder.create("bench", root=tmp_path) for _ in range(2))
    old = tmp_path / "20200101T000000Z-run"
    old.mkdir()
    (tmp_path / "notes").mkdir()
    first.document.write_text("{}")
    assert StudyFolder.find(str(first.path)) == first
    assert StudyFolder.find(str(first.document)) == first
    assert StudyFolder.find("latest", root=tmp_path).path != old
    os.utime(second.path)  # its ctime is now the last
    assert StudyFolder.find("latest", root=tmp_path) == second


@pytest.mark.parametrize(("name", "hint"), [("latest", "perfkit bench"), ("none", ".perfkit")])
def test_no_such_study(tmp_path: Path, name: str, hint: str) -> None:
    """A usage error that says what to do."""
    with pytest.raises(UsageError, match="there is no study") as caught:
        StudyFolder.find(name, root=tmp_path)
    assert caught.value.hint is not None
    assert hint in caught.value.hint


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    """A usage error with the system's reason, not a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write to") as caught:
        StudyFolder.create("bench", root=tmp_path / "file" / ".perfkit")
    assert caught.value.hint
    with pytest.raises(PerfkitError, match="cannot make"):
        RunFolder.create(tmp_path / "file" / "0-1", CONFIG)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_seen_behind_what_it_became(number: int) -> None:
    """A full device, a quota and a limit on files; wrapped, handled, or one of a group."""
    full = OSError(number, os.strerror(number))
    wrapped = PerfkitError("cannot write x")
    wrapped.__cause__ = full
    handled = ValueError("while it was handled")
    handled.__context__ = wrapped
    both = ValueError("caused by something else")
    both.__cause__, both.__context__ = KeyError("x"), handled
    assert all(map(out_of_space, (full, wrapped, handled, both)))
    assert cannot_write(Path("x"), full).hint == "free some space"


def test_other_errors_are_no_full_disk() -> None:
    """Nor is a chain that bites its own tail endless."""
    first, second = OSError(errno.EACCES, "denied"), ValueError("x")
    first.__context__, second.__context__ = second, first
    assert chain(first) == [first, second]
    assert not out_of_space(first)
    assert cannot_write(Path("x"), first).hint is None
