"""Record files: whatever was written and wherever it was torn, whole records come back."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.errors import DamagedFile, LaterVersion
from perfkit.records import (
    FETCHES,
    NAN,
    SPANS,
    STEPS,
    FetchRecord,
    RecordFormat,
    SpanRecord,
    StepRecord,
)

ints = st.integers(-(2**31), 2**31 - 1)
indexes = st.integers(0, 2**32 - 1)
depths = st.integers(-(2**15), 2**15 - 1)
nanoseconds = st.integers(0, 2**64 - 1)
steps = st.builds(StepRecord, indexes, ints, ints, *[depths] * 4, nanoseconds, *[st.floats()] * 14)
fetches = st.builds(FetchRecord, ints, ints, ints, nanoseconds, *[st.floats()] * 7, ints)
spans = st.builds(SpanRecord, ints, indexes, nanoseconds, *[st.floats()] * 2)
FORMATS: list[RecordFormat[Any]] = [STEPS, FETCHES, SPANS]
HEADER = 16


def step(index: int) -> StepRecord:
    return StepRecord(index, 0, 8, -1, -1, 1, 1, 10, 0.5, *[NAN] * 13)


def written(path: Path, count: int, torn: bytes = b"") -> Path:
    path.write_bytes(STEPS.header + b"".join(STEPS.pack(step(i)) for i in range(count)) + torn)
    return path


def indices(path: Path, **part: int) -> list[int]:
    return [record.index for record in STEPS.read(path, **part)]


def same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Equal, with NaN equal to NaN."""
    return all(a == b or (a != a and b != b) for a, b in zip(one, other, strict=True))


@given(st.data(), st.sampled_from(FORMATS))
def test_a_file_torn_anywhere(data: st.DataObject, kind: RecordFormat[Any]) -> None:
    """The records whose last byte is there come back as they were; the torn one is dropped."""
    made = {STEPS: steps, FETCHES: fetches, SPANS: spans}[kind]
    records = data.draw(st.lists(made, max_size=4))
    whole = kind.header + b"".join(kind.pack(record) for record in records)
    length = data.draw(st.integers(0, len(whole)))
    with TemporaryDirectory() as folder:
        path = Path(folder, "records.bin")
        path.write_bytes(whole[:length])
        back, count = list(kind.read(path)), kind.count(path)
    expected = max(0, length - HEADER) // kind.struct.size
    assert (len(back), count) == (expected, expected)
    assert all(map(same, back, records[:expected]))


@given(st.integers(0, 12), st.integers(0, 12), st.none() | st.integers(0, 12))
def test_a_part_of_a_file(total: int, first: int, count: int | None) -> None:
    """From a number on, so many or all; past the end there are none."""
    last = total if count is None else first + count
    part = {"first": first} if count is None else {"first": first, "count": count}
    with TemporaryDirectory() as folder:
        path = written(Path(folder, "steps.bin"), total)
        assert indices(path, **part) == list(range(total))[first:last]


def test_a_long_file_is_read_in_pieces(tmp_path: Path) -> None:
    """Across the edges of the reader's own pieces nothing is lost or read twice."""
    path = written(tmp_path / "steps.bin", 8200, torn=b"torn")
    assert indices(path) == list(range(8200))
    assert indices(path, first=4090, count=4100) == list(range(4090, 8190))


def test_a_file_is_read_while_it_grows(tmp_path: Path) -> None:
    """A second look finds what came since."""
    path = written(tmp_path / "steps.bin", 2, torn=STEPS.pack(step(2))[:50])
    assert indices(path) == [0, 1]
    with path.open("ab") as file:
        file.write(STEPS.pack(step(2))[50:])
    assert indices(path) == [0, 1, 2]


@pytest.mark.parametrize("kind", FORMATS)
def test_sizes_and_versions(kind: RecordFormat[Any]) -> None:
    """Sizes and header are what the history says: a change needs another version."""
    assert {STEPS: 144, FETCHES: 80, SPANS: 32}[kind] == kind.struct.size
    version = {STEPS: 2, FETCHES: 2, SPANS: 1}[kind]
    assert kind.header == kind.magic + struct.pack("<II", version, kind.struct.size)
    assert kind.struct.size <= 200


def test_a_step_byte_by_byte() -> None:
    """Written out by hand: little-endian, no padding but four bytes, NaN for what is missing."""
    packed = STEPS.pack(StepRecord(7, -1, 16, 3, 1, 2, 1, 2**40, 0.25, *[NAN] * 13))
    head = "07000000 ffffffff 10000000 0300 0100 0200 0100 00000000 0000000000010000"
    assert packed[:32] == bytes.fromhex(head)
    assert packed[32:40] == struct.pack("<d", 0.25)
    assert packed[40:] == struct.pack("<d", NAN) * 13


def test_a_file_of_version_1_is_read(tmp_path: Path) -> None:
    """What it did not tell is unknown, what it told is as it was, from any step on."""
    path = tmp_path / "steps.bin"
    old = struct.Struct("<IiihxxQ13d")
    rows = [old.pack(n, 2, 16, 3, 2**40 + n, *[0.25 + i for i in range(13)]) for n in range(4)]
    path.write_bytes(struct.pack("<8sII", STEPS.magic, 1, old.size) + b"".join(rows) + b"torn")
    assert STEPS.count(path) == 4
    records = list(STEPS.read(path, first=1, count=2))
    assert [record.index for record in records] == [1, 2]
    first = records[0]
    assert first[:8] == (1, 2, 16, 3, -1, -1, -1, 2**40 + 1)
    assert (first.step_s, first.data_wait_s, first.lead_s) == (0.25, 1.25, 12.25)
    assert math.isnan(first.run_delay_s)


def test_batches_of_version_1_are_read(tmp_path: Path) -> None:
    """How many tensors they had was not told."""
    path = tmp_path / "0-1.bin"
    old = struct.Struct("<iiiQ7d")
    told = 1, 5, 16, 2**40, *[0.25 * i for i in range(7)]
    path.write_bytes(struct.pack("<8sII", FETCHES.magic, 1, old.size) + old.pack(*told))
    assert list(FETCHES.read(path)) == [FetchRecord(*told, tensors=-1)]


def test_a_missing_file(tmp_path: Path) -> None:
    """It has no records to count, and cannot be read."""
    assert STEPS.count(tmp_path / "none.bin") == 0
    with pytest.raises(FileNotFoundError):
        list(STEPS.read(tmp_path / "none.bin"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"something else that is long enough", id="another file"),
        pytest.param(b"short", id="a short other file"),
        pytest.param(FETCHES.header, id="fetch records"),
        pytest.param(STEPS.magic + struct.pack("<II", 1, 64), id="another size"),
    ],
)
def test_what_is_no_such_file(tmp_path: Path, content: bytes) -> None:
    """A clear error that names the file."""
    path = tmp_path / "steps.bin"
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match=r"steps\.bin"):
        list(STEPS.read(path))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_later_version(tmp_path: Path, kind: RecordFormat[Any]) -> None:
    """Is refused with what to do, whatever the size of its records."""
    path = tmp_path / "records.bin"
    path.write_bytes(kind.magic + struct.pack("<II", kind.version + 1, 999))
    told = f"record format {kind.version + 1}; this perfkit reads up to {kind.version}"
    with pytest.raises(LaterVersion, match=told) as caught:
        list(kind.read(path))
    assert caught.value.hint
