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
        self.clock, self.apart_ns = Clock(), 1_000_003
        self.recorder._host_ns = self.clock
        self.recorder._files.put_off(0, self.clock())
        self.recorder._delay.close()
        self.tape = Tape(self.steps) if noted else None
        self.of = [self.iterate(loader(number)) for number in range(PASSES)]

    def tell(self, what: Callable[..., None], *args: Any) -> None:
        self.clock.now_ns += self.apart_ns
        if self.tape is None:
            what(self.steps, *args)
        else:
            self.tape.happened(what, *args)

    def does(self, what: str, number: int) -> None:
        of = self.of[number]
        if what in ("batch", "end"):
            self.tell(Steps.asks, of, *queue_of(of))
            self.tell(Steps.got if what == "batch" else Steps.ended, of)
        elif what == "left":
            self.tell(Steps.left, of)
        elif what == "steps":
            for part in ("batch", "backward", "adam") * 3:
                self.does(part, number)
        elif what == "twice":
            for part in ("batch", "backward", "backward", "adam"):
                self.does(part, number)
        elif what == "backward":
            self.tell(Steps.backward_begins)
            self.tell(Steps.backward_ends)
        else:
            self.tell(Steps.update_begins, what)
            self.tell(Steps.update_ends, what)

    def summed(self) -> dict[str, Any]:
        """All that is counted and summed over the steps."""
        steps = self.steps
        names = ("untracked_ns", "making_ns", "forward_ns", "backward_ns", "moment", "bare_steps")
        summed = {name: getattr(steps, name) for name in names}
        summed["passes"] = [(of.fetched, of.backwards, of.updates) for of in self.of]
        return {**summed, "forwards": list(steps.forwards), "gaps": list(steps.gaps)}

    def packed(self) -> list[bytes]:
        """The records, byte by byte: NaN is no other one's equal."""
        if self.tape is not None:
            self.tape.play()
        self.steps.end()
        self.recorder.close()
        return [STEPS.pack(record) for record in STEPS.read(self.path)]


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["steps", "twice", "batch", "batch", "backward", "adam", "sgd", "end", "left"]
        ),
        st.integers(0, PASSES - 1),
    ),
    max_size=60,
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
    assert noted.summed() == at_once.summed()


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
    script.apart_ns = MOST_NS // (2 * MOST_NOTES)
    assert not tape.is_due(clock())
    for _ in range(MOST_NOTES // 2 - 1):
        script.does("adam", 0)
    assert not tape.is_due(clock())
    script.does("adam", 0)
    assert tape.is_due(clock())
    tape.play()
    assert not tape.is_due(clock())
    tape.happened(Steps.backward_begins)
    assert not tape.is_due(clock() + MOST_NS - 1)
    assert tape.is_due(clock() + MOST_NS)


def test_what_a_call_that_raises_leaves_is_worked_up_the_next_time(script: Told) -> None:
    """The one that raised is lost; the recorder has its own clock again."""
    tape, seen = tape_of(script), []
    clock = script.recorder._host_ns

    def raises(steps: Steps) -> None:
        raise ValueError("planted")

    tape.happened(raises)
    tape.happened(lambda steps: seen.append(steps.recorder.now_ns()))
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

    tape.happened(asks)
    tape.happened(lambda steps: seen.append("followed"))
    tape.play()
    assert seen == ["asked", "followed"]


def test_another_thread_waits_until_all_is_worked_up(script: Told) -> None:
    tape, seen = tape_of(script), []
    begun, may_end = threading.Event(), threading.Event()

    def slow(steps: Steps) -> None:
        begun.set()
        assert may_end.wait(10)
        seen.append("slow")

    tape.happened(slow)
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

    tape.happened(takes)
    before_ns = script.recorder.own_ns
    tape.play()
    assert script.recorder.own_ns - before_ns == 7_000


def test_what_was_worked_up_is_written(script: Told) -> None:
    """A kill loses what was noted, and the step that runs."""
    assert MOST_NS < WRITE_EVERY_NS
    for steps in (1, 5):
        for _ in range(steps):
            script.does("batch", 0)
            script.does("backward", 0)
            script.does("adam", 0)
        tape_of(script).play()
        assert len(list(STEPS.read(script.path))) == script.steps.trained - 1


def test_whole_steps_are_told_at_once(script: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are like the one before, up to what was seen amid them."""
    told, tell = [], Steps.plain_steps

    def counted(steps: Steps, asks: Any, *rest: Any) -> None:
        told.append(len(asks))
        tell(steps, asks, *rest)

    monkeypatch.setattr(Steps, "plain_steps", counted)
    seen = []
    for steps in (4, 3):
        for _ in range(steps):
            script.does("batch", 0)
            script.does("backward", 0)
            script.does("adam", 0)
        script.steps.once_known(lambda: seen.append(script.steps.trained))
    script.does("twice", 0)
    tape_of(script).play()
    # two show that the loader is trained with
    assert (told, seen) == ([2, 3], [4, 7])
    assert script.steps.trained == 8


def test_a_queue_is_looked_at_when_a_batch_is_asked_for(tmp_path: Path) -> None:
    """Not when that is worked up."""
    script = Script(tmp_path / "steps.bin")
    state = [3, 1]
    asking = Pass(0, loader(0), lambda: state[0], lambda: state[1])
    tape = Tape(script.steps)
    tape.happened(Steps.asks, asking, *queue_of(asking))
    state[:] = [0, 0]
    tape.happened(Steps.got, asking)
    tape.play()
    script.train()
    (record,) = script.records()
    assert (record.queue_depth, record.ready) == (3, 1)
