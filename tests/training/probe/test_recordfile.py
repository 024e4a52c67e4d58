"""The file of step records."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from perfkit.records import NAN, STEPS, StepRecord
from perfkit.training.probe.recordfile import RecordFile


def record(index: int) -> StepRecord:
    return StepRecord(index, 0, 8, -1, -1, 1, 1, 10, 0.5, *[NAN] * 13)


def indices(path: Path) -> list[int]:
    return [step.index for step in STEPS.read(path)]


def test_a_new_file_has_its_header_at_once(tmp_path: Path) -> None:
    """A reader may come before the first step."""
    RecordFile(tmp_path / "steps.bin", STEPS)
    assert (tmp_path / "steps.bin").read_bytes() == STEPS.header


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    """Measurements are never overwritten."""
    path = tmp_path / "steps.bin"
    path.write_bytes(b"measured before")
    with pytest.raises(FileExistsError):
        RecordFile(path, STEPS)
    assert path.read_bytes() == b"measured before"


def test_a_short_write_is_continued_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel may take any part of what it is given."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, bytes(data[:7])))
    path = tmp_path / "steps.bin"
    file = RecordFile(path, STEPS)
    for index in range(5):
        file.add(record(index))
    file.close()
    assert indices(path) == list(range(5))


def test_a_file_that_may_not_grow_keeps_its_whole_records(tmp_path: Path) -> None:
    """The kernel takes half a record and refuses the rest: it is dropped by readers, and mended later."""
    path = tmp_path / "steps.bin"
    file = RecordFile(path, STEPS)
    for index in range(4):
        file.add(record(index))
    resource = pytest.importorskip("resource", reason="this system has no file size limit")
    room = len(STEPS.header) + 2 * STEPS.struct.size + 50
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            file.write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.stat().st_size == room
    assert indices(path) == [0, 1]
    file.close()
    assert indices(path) == [0, 1, 2, 3]


@pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")
def test_no_room_for_the_header_closes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorder that cannot begin leaves no open file."""

    def refuse(handle: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(OSError, match="No space left"):
        RecordFile(tmp_path / "steps.bin", STEPS)
    assert len(os.listdir("/proc/self/fd")) == before


def test_closing_twice_is_closing(tmp_path: Path) -> None:
    """The second time does nothing."""
    file = RecordFile(tmp_path / "steps.bin", STEPS)
    file.add(record(0))
    file.close()
    file.close()
    assert indices(tmp_path / "steps.bin") == [0]
