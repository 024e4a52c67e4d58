"""Signals that mean stop do what Ctrl-C does, for as long as something is being measured."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from perfkit.cli.signals import interruptible

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals there are others")
STOP = [signal.SIGTERM, signal.SIGHUP]


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


def test_an_error_inside_is_passed_on() -> None:
    """Only signals are turned into interrupts."""
    with pytest.raises(ValueError, match="planted"), interruptible():
        raise ValueError("planted")
