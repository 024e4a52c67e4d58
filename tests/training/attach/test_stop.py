"""When a script is to end early."""

from __future__ import annotations

import pytest

from perfkit.training.attach import stop as stop_module
from perfkit.training.attach.stop import VARIABLE, Stop


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(stop_module.time, "perf_counter", lambda: now[0])
    return now


def test_nothing_ends_that_was_not_asked_to(clock: list[float]) -> None:
    """However long it trains."""
    stop = Stop({})
    stop.begin()
    clock[0] += 1e6
    assert not stop.asked and not stop.due(10**6)


def test_seconds_count_from_the_first_step(clock: list[float]) -> None:
    """What came before it, imports and compiling, does not count; how many steps were made neither."""
    stop = Stop({VARIABLE: "seconds:2.5"})
    assert stop.asked
    clock[0] += 60.0
    assert not stop.due(10**6)
    stop.begin()
    clock[0] += 2.25
    assert not stop.due(10**6)
    clock[0] += 0.25
    assert stop.due(0)


def test_steps_count_whatever_time_they_take(clock: list[float]) -> None:
    """Not before training has begun."""
    stop = Stop({VARIABLE: "steps:9"})
    assert not stop.due(9)
    stop.begin()
    clock[0] += 1e6
    assert not stop.due(8)
    assert stop.due(9)


@pytest.mark.parametrize("said", ["epochs:3", "steps:many", "seconds:"])
def test_what_cannot_be_asked_for_is_refused(said: str) -> None:
    """The parent writes the variable; nobody else does."""
    with pytest.raises(ValueError):
        Stop({VARIABLE: said})
