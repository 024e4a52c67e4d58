"""The child's last words: they are sent whatever else happens on the way there."""

from __future__ import annotations

import itertools
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from perfkit.config import RunConfig
from perfkit.runfolder import RunFolder
from perfkit.training import player


class Replies:
    """A channel that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def reply(self, message: dict[str, Any]) -> None:
        self.said.append(message)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends a signal")
def test_a_handler_that_raises_on_the_way_to_the_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch's raises from the next call of Python once a worker has died: the first of them is ours."""
    fired = []

    def raises(*_: Any) -> NoReturn:
        fired.append(True)
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")

    def fails(_: Any) -> NoReturn:
        numbers = itertools.chain(itertools.repeat(0, 20_000_000), [None])
        # in 0.05 s of our own computing
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.05)
        # one call of C: the signal comes within, and its handler has to wait until that has failed
        sum(numbers)  # type: ignore[arg-type]
        raise AssertionError

    replies = Replies()
    before = {number: signal.getsignal(number) for number in (signal.SIGVTALRM, signal.SIGCHLD)}
    signal.signal(signal.SIGVTALRM, raises)
    monkeypatch.setattr(player, "Channel", lambda: replies)
    monkeypatch.setattr(player, "_build", fails)
    folder = RunFolder.create(tmp_path / "run", RunConfig(arch="tiny"))
    monkeypatch.setattr(sys, "argv", ["player", str(folder.path)])
    try:
        with pytest.raises(SystemExit):
            player.main()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
    assert fired == [True]
    assert [r["event"] for r in replies.said] == ["hello", "failed"]
    assert "TypeError" in replies.said[-1]["message"]
