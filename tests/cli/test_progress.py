"""Progress goes to stderr: plain lines in a pipe, one live line at a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from perfkit.cli import progress as module
from perfkit.cli.progress import Progress
from perfkit.engine.events import (
    Doing,
    GenerationDone,
    GenerationStarted,
    Preparing,
    ProcessFailed,
    Tried,
    TurnRepeated,
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of the progress, set by the test."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    told = capsys.readouterr()
    assert told.out == "", "data never goes here"
    return told.err.splitlines()


def test_what_matters_is_always_said(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """Failures and repeats, and the start of each generation with what time is left at most."""
    with Progress(120.0) as progress:
        progress(GenerationStarted(1, ("x/fp32", "x/amp")))
        progress(ProcessFailed("x/amp", "oom", "out of memory"))
        clock[0] += 50
        progress(TurnRepeated("x/fp32", 0.5))
        progress(GenerationStarted(2, ("x/fp32",)))
        progress(Tried(64, rehearsal=False, fits=True, took_s=2.0))
        progress(Tried(128, rehearsal=True, fits=False, took_s=4.0))
    first, failed, repeated, second, fits, too_large = lines(capsys)
    assert first == "generation 1: starting 2 processes (at most 120 s left)"
    assert failed == "x/amp: oom: out of memory"
    assert "x/fp32" in repeated and "500 ms" in repeated
    assert second == "generation 2: starting 1 process (at most 70 s left)"
    assert fits == "batch 64 fits (a few steps, 2.00 s)"
    assert too_large == "batch 128 does not fit (a whole generation, 4.00 s)"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (TurnRepeated("x/amp", 0.0, throttled=True), "the GPU slowed itself down"),
        (TurnRepeated("x/amp", 0.0, 0.25), "somebody else used the GPU for 25 % of it"),
        (TurnRepeated("x/amp", 0.5), "somebody else used 500 ms of CPU beside it"),
    ],
)
def test_why_something_is_timed_again(
    capsys: pytest.CaptureFixture[str], event: TurnRepeated, said: str
) -> None:
    """In words of its own for each cause."""
    with Progress(120.0) as progress:
        progress(event)
    assert lines(capsys) == [f"x/amp: {said}: once more"]


def test_what_was_spent_before_counts(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """Preparation and generations of an earlier command are off the budget."""
    with Progress(120.0) as progress:
        progress.count(12 + 30, [10.0, 20.0])
        progress(GenerationStarted(3, ("x/fp32",)))
    assert lines(capsys) == ["generation 3: starting 1 process (at most 78 s left)"]


def test_pinned_generations_are_expected_to_cost_what_the_others_did(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """Five in all, two of an earlier command and one of this: two are left, at 15 s each."""
    with Progress(None, 5) as progress:
        progress.count(42, [10.0, 20.0])
        clock[0] += 15
        progress(GenerationDone(3, 15.0))
        clock[0] += 4
        progress(GenerationStarted(4, ("x/fp32",)))
    assert lines(capsys) == ["generation 4: starting 1 process (about 26 s left)"]


def test_the_rest_comes_no_more_often_than_every_few_seconds(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """A log stays readable: a hundred blocks a second make a line in five."""
    with Progress(None) as progress:
        for number in range(1, 101):
            progress(Doing(1, "x/fp32", "block", number, 100))
            clock[0] += 0.1
    said = lines(capsys)
    assert len(said) == 2
    assert said[0] == "generation 1: x/fp32: block 1 of 100 (0 s so far)"


def test_time_left_is_never_less_than_none(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """Past the budget no negative time is promised."""
    with Progress(10.0) as progress:
        clock[0] += 60
        progress(GenerationStarted(9, ("x/fp32",)))
    assert lines(capsys)[0].endswith("(at most 0 s left)")


def test_data_being_made_says_where_and_how_far(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """The path is printed; an event without words for it is silent."""
    with Progress(None) as progress:
        progress(Preparing(5, 20, "/data"))
        progress(GenerationDone(1, 9.0))
    assert lines(capsys) == ["making data in /data: 5 of 20 (0 s so far)"]


def test_a_pipe_gets_no_escape_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """What is no terminal gets text and nothing else."""
    with Progress(60.0) as progress:
        progress(GenerationStarted(1, ("x/fp32",)))
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environ", "live"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
)
def test_a_terminal_gets_one_live_line_where_it_is_welcome(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], live: bool
) -> None:
    """A spinner at a terminal, none with NO_COLOR or where the terminal cannot."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with Progress(60.0) as progress:
        progress(Doing(1, "x/[bold]fp32", "block", 1, 8))
        progress.say("this line stays: [not markup]")
    shown = terminal.getvalue()
    assert ("\x1b" in shown) == live
    assert "this line stays: [not markup]" in shown
