"""Batches of several loaders, fetched by turns: parts of one step."""

from __future__ import annotations

import time

import pytest
from hooked_script import Script, loader

from perfkit.records import UNKNOWN
from perfkit.training.attach.watcher import queue_of


def test_two_loaders_fetched_by_turns_make_one_step(script: Script) -> None:
    """The first step is put together once the second fetch of the first loader tells what they are."""
    first, second = script.iterate(loader(0)), script.iterate(loader(1))
    for _ in range(3):
        script.fetch(first, second)
        script.train()
    script.stop(first)
    assert script.counts() == [(0, 1, 1)] * 3
    assert second.companion is first


def test_three_loaders_fetched_by_turns_make_one_step(script: Script) -> None:
    """A third one joins like the second."""
    passes = [script.iterate(loader(number)) for number in range(3)]
    for _ in range(3):
        script.fetch(*passes)
        script.train()
    assert script.counts() == [(0, 1, 1)] * 3


@pytest.mark.parametrize(
    ("ready", "other", "both"),
    [(1, 1, 1), (1, 0, 0), (0, 1, 0), (UNKNOWN, 0, 0), (1, UNKNOWN, UNKNOWN)],
)
def test_a_batch_of_two_loaders_is_ready_where_both_parts_are(
    script: Script, ready: int, other: int, both: int
) -> None:
    """Else a slow second loader looks as if its batches only had to be handed over."""
    first, second = script.iterate(loader(0)), script.iterate(loader(1))
    for one, is_ready in ((first, ready), (second, other)):
        one.ready, one.depth = (
            (lambda is_ready=is_ready: is_ready),
            (lambda is_ready=is_ready: is_ready),
        )
    for _ in range(3):
        script.fetch(first, second)
        script.train()
    script.stop(first)
    found = [(record.ready, record.queue_depth) for record in script.records()][1:]
    assert found == [(both, min(ready, other))] * 2


def test_a_companion_goes_on_alone_where_the_first_loader_is_over(script: Script) -> None:
    """`zip(itertools.cycle(labelled), unlabelled)`: the first is asked no more, its batches come again."""
    for _ in range(2):
        first, second = script.iterate(loader(0)), script.iterate(loader(1))
        for _ in range(2):
            script.fetch(first, second)
            script.train()
        script.stop(first)
        for _ in range(3):
            script.fetch(second)
            script.train()
        script.stop(second)
    blocks = [record.block for record in script.records() if record.backwards]
    assert blocks == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]


def test_the_wait_of_a_companion_is_wait(script: Script) -> None:
    """Of the first step, which was two for a while, as of the second."""
    first, second = script.iterate(loader(0)), script.iterate(loader(1))
    for _ in range(2):
        script.fetch(first)
        script.steps.asks(second, *queue_of(second))
        time.sleep(0.02)
        script.steps.got(second)
        script.train()
    script.stop(first)
    assert all(0.02 <= record.data_wait_s <= record.step_s for record in script.records())
    assert 0.02e9 <= second.joined_ns <= script.records()[-1].data_wait_s * 1e9
