"""Signals that mean stop do what Ctrl-C does, for as long as something is being measured."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator

import pytest

from perfkit.cli.signals import interruptible

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals there are others")
STOP = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def as_at_a_terminal() -> Iterator[None]:
    """Signals as a program at a terminal has them: these tests may run under nohup, or in the background."""
    usual = {number: signal.SIG_DFL for number in STOP} | {
        signal.SIGINT: signal.default_int_handler
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [*STOP, signal.SIGINT])
def test_a_signal_is_an_interrupt(number: signal.Signals) -> None:
    """SIGTERM and SIGHUP raise what Ctrl-C raises, so that what was measured is kept."""
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), number)
        time.sleep(10)


@pytest.mark.parametrize("number", STOP)
def test_what_was_before_comes_back(number: signal.Signals) -> None:
    """Afterwards, and after an interrupt too, signals are whose they were."""
    heard = []
    ours = signal.signal(number, lambda *_: heard.append("ours"))
    try:
        with interruptible():
            pass
        os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt), interruptible():
            os.kill(os.getpid(), number)
            time.sleep(10)
        os.kill(os.getpid(), number)
        assert heard == ["ours", "ours"]
    finally:
        signal.signal(number, ours)


def test_what_is_ignored_on_purpose_stays_ignored() -> None:
    """A hang-up does not end what nohup started."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interruptible():
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_an_error_inside_is_passed_on() -> None:
    """Only signals are turned into interrupts."""
    with pytest.raises(ValueError, match="planted"), interruptible():
        raise ValueError("planted")
