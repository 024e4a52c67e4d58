"""Replies among whatever else a process prints."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_values import json_objects

from perfkit.wire import pack_reply, unpack_reply

MARK = pack_reply({}).partition(b"{")[0]


@given(json_objects)
def test_a_reply_is_one_line(message: dict[str, object]) -> None:
    """Whatever text it holds, line ends among it, and it comes back equal."""
    line = pack_reply(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert unpack_reply(line) == message


@given(st.binary())
def test_anything_else_is_no_reply(line: bytes) -> None:
    """A workload may print what it likes."""
    assert unpack_reply(line) is None


@pytest.mark.parametrize("rest", [b"", b"{", b"[1]", b"null", b'"text"', b"\xff\xfe", b"{} {}"])
def test_a_marked_line_that_holds_no_object(rest: bytes) -> None:
    """Nor is a reply that was torn or that is something else."""
    assert unpack_reply(MARK + rest) is None


@given(json_objects, st.data())
def test_a_torn_reply_is_none(message: dict[str, object], data: st.DataObject) -> None:
    """Wherever it was torn."""
    line = pack_reply(message).rstrip(b"\n")
    assert unpack_reply(line[: data.draw(st.integers(0, len(line) - 1))]) is None


def test_there_is_no_reply_of_nan() -> None:
    """JSON has none."""
    with pytest.raises(ValueError, match="JSON"):
        pack_reply({"loss": math.nan})
