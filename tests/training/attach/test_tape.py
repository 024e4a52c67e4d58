"""What is noted of short steps and worked up later."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hooked_script import Script, loader
from hypothesis import given, settings
from hypothesis import strategies as st

from perfkit.records import STEPS
from perfkit.training.attach import tape as tape_module
from perfkit.training.attach.loaders import Pass
from perfkit.training.attach.passes import Steps
from perfkit.training.attach.tape import MOST_NOTES, MOST_NS, Tape
from perfkit.training.attach.watcher import queue_of
from perfkit.training.probe.outfiles import WRITE_EVERY_NS

PASSES = 3


class Clock:
    """One that goes when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 10**9

    def __call__(self) -> int:
        return self.now_ns


class Told(Script):
    """A script whose calls are worked up at once, or noted, on a clock of its own."""

    def __init__(self, path: Path, *, noted: bool) -> None:
        super().__init__(path)
        self.clock = Clock()
        self.recorder._host_ns = self.clock
        self.recorder._files.put_off(0, self.clock())
        self.recorder._delay.close()
        self.tape = Tape(self.steps) if noted else None
        self.of = [self.iterate(loader(number)) for number in range(PASSES)]

    def tell(self, what: Callable[..., None], *args: Any) -> None:
        self.clock.now_ns += 1_000_003
        if self.tape is None:
            what(self.steps, *args)
        else:
            self.tape.note(what, *args)

    def does(self, what: str, number: int) -> None:
        of = self.of[number]
        if what in ("batch", "end"):
            self.tell(Steps.asks, of, *queue_of(of))
            self.tell(Steps.got if what == "batch" else Steps.ended, of)
        elif what == "left":
            self.tell(Steps.left, of)
        elif what == "backward":
            self.tell(Steps.backward_begins)
            self.tell(Steps.backward_ends)
        else:
            self.tell(Steps.update_begins, what)
            self.tell(Steps.update_ends, what)

    def packed(self) -> list[bytes]:
        """The records, byte by byte: NaN is no other one's equal."""
        if self.tape is not None:
            self.tape.play()
        self.steps.end()
        self.recorder.close()
        return [STEPS.pack(record) for record in STEPS.read(self.path)]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["batch", "batch", "backward", "adam", "sgd", "end", "left"]),
        st.integers(0, PASSES - 1),
    ),
    max_size=80,
)


@settings(max_examples=150, deadline=None)
@given(actions=ACTIONS, seed=st.integers(0, 99))
def test_noted_steps_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, int]], seed: int
) -> None:
    """Whatever is done in whatever order, and wherever the notes are worked up."""
    folder = tmp_path_factory.mktemp("tape")
    at_once, noted = Told(folder / "a.bin", noted=False), Told(folder / "b.bin", noted=True)
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tape_module, "_now_ns", noted.clock)
        for what, number in actions:
            at_once.does(what, number)
            noted.does(what, number)
            if chance.random() < 0.1 and noted.tape is not None:
                noted.tape.play()
        records = noted.packed()
    assert records == at_once.packed()
    assert noted.told.over == at_once.told.over
    assert noted.steps.trained == at_once.steps.trained
    assert noted.steps.untracked_ns == at_once.steps.untracked_ns


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    made = Told(tmp_path / "steps.bin", noted=True)
    monkeypatch.setattr(tape_module, "_now_ns", made.clock)
    return made


def tape_of(script: Told) -> Tape:
    assert script.tape is not None
    return script.tape


def test_notes_are_due_when_they_are_many_or_old(script: Told) -> None:
    tape = tape_of(script)
    clock = script.clock
    assert not tape.is_due(clock())
    for _ in range(MOST_NOTES // 2 - 1):
        script.does("adam", 0)
    assert not tape.is_due(clock())
    script.does("adam", 0)
    assert tape.is_due(clock())
    tape.play()
    assert not tape.is_due(clock())
    tape.note(Steps.backward_begins)
    assert not tape.is_due(clock() + MOST_NS - 1)
    assert tape.is_due(clock() + MOST_NS)


def test_what_a_call_that_raises_leaves_is_worked_up_the_next_time(script: Told) -> None:
    """The one that raised is lost; the recorder has its own clock again."""
    tape, seen = tape_of(script), []
    clock = script.recorder._host_ns

    def raises(steps: Steps) -> None:
        raise ValueError("planted")

    tape.note(raises)
    tape.note(lambda steps: seen.append(steps.recorder.now_ns()))
    with pytest.raises(ValueError, match="planted"):
        tape.play()
    assert (seen, script.recorder._host_ns) == ([], clock)
    noted_ns = script.clock.now_ns
    script.clock.now_ns += 5
    tape.play()
    assert seen == [noted_ns]


def test_one_that_is_worked_up_may_ask_for_it(script: Told) -> None:
    """What follows it is not worked up before it is over."""
    tape, seen = tape_of(script), []

    def asks(steps: Steps) -> None:
        tape.play()
        seen.append("asked")

    tape.note(asks)
    tape.note(lambda steps: seen.append("followed"))
    tape.play()
    assert seen == ["asked", "followed"]


def test_another_thread_waits_until_all_is_worked_up(script: Told) -> None:
    tape, seen = tape_of(script), []
    begun, may_end = threading.Event(), threading.Event()

    def slow(steps: Steps) -> None:
        begun.set()
        assert may_end.wait(10)
        seen.append("slow")

    tape.note(slow)
    first = threading.Thread(target=tape.play)
    first.start()
    assert begun.wait(10)

    def other() -> None:
        tape.play()
        seen.append("other")

    second = threading.Thread(target=other)
    second.start()
    second.join(0.05)
    assert second.is_alive() and seen == []
    may_end.set()
    first.join(10), second.join(10)
    assert seen == ["slow", "other"]


def test_what_was_seen_amid_notes_waits_for_them(script: Told) -> None:
    """A sampler's sample belongs to the moment at which it was taken; with no notes it is done at once."""
    tape, seen = tape_of(script), []
    assert script.steps.is_behind

    def see() -> None:
        seen.append((script.steps.moment, script.steps.computing))

    script.steps.once_known(see)
    assert seen == [(0, False)]
    script.does("batch", 0)
    script.does("backward", 0)
    script.does("batch", 0)
    script.steps.once_known(see)
    script.does("backward", 0)
    script.steps.once_known(see)
    assert len(seen) == 1
    tape.play()
    assert seen[1:] == [(3, True), (4, False)]
    script.steps.once_known(see)
    assert seen[3] == seen[2]


def test_own_cost_is_what_working_up_takes(script: Told) -> None:
    tape = tape_of(script)

    def takes(steps: Steps) -> None:
        script.clock.now_ns += 7_000

    tape.note(takes)
    before_ns = script.recorder.own_ns
    tape.play()
    assert script.recorder.own_ns - before_ns == 7_000


def test_what_was_worked_up_is_written_at_least_so_often(script: Told) -> None:
    """Notes of a quarter of a second, and records of another one: a kill loses half a second."""
    tape = tape_of(script)

    def kept() -> int:
        return len(list(STEPS.read(script.path)))

    script.does("batch", 0)
    script.does("backward", 0)
    script.does("batch", 0)
    script.clock.now_ns += WRITE_EVERY_NS - MOST_NS - 10_000_000
    tape.play()
    assert kept() == 0
    script.does("batch", 0)
    script.clock.now_ns += 10_000_000
    tape.play()
    assert kept() == 2


def test_a_queue_is_looked_at_when_a_batch_is_asked_for(tmp_path: Path) -> None:
    """Not when that is worked up."""
    script = Script(tmp_path / "steps.bin")
    state = [3, 1]
    asking = Pass(0, loader(0), lambda: state[0], lambda: state[1])
    tape = Tape(script.steps)
    tape.note(Steps.asks, asking, *queue_of(asking))
    state[:] = [0, 0]
    tape.note(Steps.got, asking)
    tape.play()
    script.train()
    (record,) = script.records()
    assert (record.queue_depth, record.ready) == (3, 1)
