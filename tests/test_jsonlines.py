"""Logs of JSON lines: appended to by whoever, torn anywhere, read at any time."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_values import json_objects

from perfkit.errors import DamagedFile
from perfkit.jsonlines import JsonLines

items_lists = st.lists(json_objects, max_size=4)


@given(items_lists, st.data())
def test_a_file_torn_anywhere(items: list[dict[str, Any]], data: st.DataObject) -> None:
    """The items whose line end is there come back as they were, and the next one follows them."""
    with TemporaryDirectory() as folder:
        lines = JsonLines(Path(folder, "events.jsonl"))
        for item in items:
            lines.append(item)
        content = lines.path.read_bytes() if items else b""
        torn = content[: data.draw(st.integers(0, len(content)))]
        lines.path.write_bytes(torn)
        whole = items[: torn.count(b"\n")]
        assert list(lines.read()) == whole
        resumed = JsonLines(lines.path)
        for number in range(2):
            resumed.append({"resumed": number})
        assert list(lines.read()) == [*whole, {"resumed": 0}, {"resumed": 1}]


def test_a_missing_file_has_no_lines(tmp_path: Path) -> None:
    """Nor has an empty one."""
    assert list(JsonLines(tmp_path / "none.jsonl").read()) == []
    (tmp_path / "empty.jsonl").touch()
    assert list(JsonLines(tmp_path / "empty.jsonl").read()) == []


@pytest.mark.parametrize("line", ["", "{", "[1]", "null", '{"a": 1} {"b": 2}'])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    """By file and number; what stands before it was read."""
    path = tmp_path / "events.jsonl"
    path.write_text(f'{{"a": 1}}\n{line}\n{{"b": 2}}\n')
    reader = JsonLines(path).read()
    assert next(reader) == {"a": 1}
    with pytest.raises(DamagedFile, match=r"events\.jsonl, line 2: not a JSON object"):
        next(reader)


def test_nan_is_refused(tmp_path: Path) -> None:
    """And leaves nothing behind."""
    lines = JsonLines(tmp_path / "events.jsonl")
    with pytest.raises(ValueError, match="JSON"):
        lines.append({"loss": math.nan})
    assert not lines.path.exists()


def test_a_full_disk(tmp_path: Path) -> None:
    """A line that does not fit is an error; those before it stay, and those after it are whole."""
    resource = pytest.importorskip("resource", reason="this system has no file size limit")
    lines = JsonLines(tmp_path / "events.jsonl")
    lines.append({"event": "first"})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = lines.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 9, limits[1]))
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                lines.append({"event": "does not fit"})
            assert lines.path.stat().st_size == size
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    lines.append({"event": "fits again"})
    assert list(lines.read()) == [{"event": "first"}, {"event": "fits again"}]


def test_text_that_is_no_utf_8(tmp_path: Path) -> None:
    """An error message with a file name of any bytes is no reason to fail."""
    lines = JsonLines(tmp_path / "events.jsonl")
    item = {"message": "cannot open " + os.fsdecode(b"caf\xe9.jpg")}
    lines.append(item)
    assert list(lines.read()) == [item]


def test_two_processes_append_to_one_file(tmp_path: Path) -> None:
    """Every line of both is there, whole and in its writer's order."""
    path = tmp_path / "events.jsonl"
    code = (
        "import sys; from pathlib import Path; from perfkit.jsonlines import JsonLines\n"
        "lines = JsonLines(Path(sys.argv[1]))\n"
        "for n in range(200):\n"
        "    lines.append({'by': sys.argv[2], 'n': n, 'text': 'x' * 100})"
    )
    command = [sys.executable, "-c", code, str(path)]
    writers = [subprocess.Popen([*command, name]) for name in ("a", "b")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    found = list(JsonLines(path).read())
    for name in ("a", "b"):
        assert [item["n"] for item in found if item["by"] == name] == list(range(200))
