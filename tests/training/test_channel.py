"""The child's end of the line: a reply is whole, or the next one begins a line of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from perfkit.training.channel import Channel
from perfkit.wire import unpack_reply


@pytest.fixture
def line() -> Iterator[tuple[Channel, int]]:
    """A channel that replies into a pipe, and the pipe's other end."""
    reading, writing = os.pipe()
    channel = Channel.__new__(Channel)
    channel._replies, channel._mid_line = writing, False
    yield channel, reading
    os.close(reading)
    os.close(writing)


def heard(reading: int) -> list[Any]:
    lines = os.read(reading, 65536).split(b"\n")
    return [reply for reply in map(unpack_reply, lines) if reply is not None]


def test_replies_follow_each_other(line: tuple[Channel, int]) -> None:
    """One a line, without anything between them."""
    channel, reading = line
    for number in range(3):
        channel.reply({"event": "done", "number": number})
    assert [reply["number"] for reply in heard(reading)] == [0, 1, 2]


@pytest.mark.parametrize("written", [0, 5, 30])
def test_a_reply_that_a_signal_handler_cut_short(
    line: tuple[Channel, int], monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """Torch's raises in the middle of it when a loader worker dies: what says so must be understood."""
    channel, reading = line
    write = os.write

    def interrupted(handle: int, data: bytes) -> int:
        write(handle, data[:written])
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")

    monkeypatch.setattr(os, "write", interrupted)
    with pytest.raises(RuntimeError):
        channel.reply({"event": "done", "text": "x" * 100})
    monkeypatch.undo()
    channel.reply({"event": "failed", "status": "killed"})
    channel.reply({"event": "later"})
    assert [reply["event"] for reply in heard(reading)] == ["failed", "later"]
