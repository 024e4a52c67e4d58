"""Which step a fetch, a backward and an update belong to."""

from __future__ import annotations

import time

from hooked_script import Script, loader

from perfkit.records import UNKNOWN
from perfkit.training.attach.passes import NO_LOADER
from perfkit.training.attach.watcher import queue_of


def test_each_batch_of_a_plain_loop_is_a_step(script: Script) -> None:
    """The ask that finds the end leaves no record."""
    batches = script.iterate(loader(0))
    for _ in range(3):
        script.fetch(batches)
        script.train()
    script.stop(batches)
    assert script.counts() == [(0, 1, 1)] * 3
    assert script.told.over == [(0, True, 3)]
    assert script.told.trained == 1


def test_what_lies_between_backward_and_update_is_untracked(script: Script) -> None:
    """Not what a further backward follows: that is its forward."""
    batches = script.iterate(loader(0))
    script.fetch(batches)
    script.backward()
    time.sleep(0.03)
    script.backward()
    before_ns, moment = script.steps.untracked_ns, script.steps.moment
    time.sleep(0.02)
    script.update()
    assert script.steps.untracked_ns - before_ns >= 20_000_000
    assert list(script.steps.gaps) == [moment]
    script.update()
    assert len(script.steps.gaps) == 2, "nor is there anything between two updates"
    script.stop(batches)
    assert script.counts() == [(0, 2, 2)]


def test_what_leads_to_a_further_backward_is_its_forward(script: Script) -> None:
    """A generator's turn after the discriminator's; what leads to an update alone stays in no phase."""
    batches = script.iterate(loader(0))
    script.fetch(batches)
    script.train()
    script.fetch(batches)
    script.train()
    time.sleep(0.02)
    script.backward()
    time.sleep(0.03)
    script.update()
    script.stop(batches)
    first, second = script.records()
    assert first.forward_s < 0.02 <= second.forward_s < 0.03
    phases = (second.forward_s, second.backward_s, second.optimizer_s, second.data_wait_s)
    assert second.step_s - sum(phases) >= 0.03


def test_without_workers_the_loop_makes_its_batches(script: Script) -> None:
    """The first of a pass apart; with a queue it waits for them. Only what is trained with counts."""
    batches = script.iterate(loader(0))
    script.steps.asks(batches, UNKNOWN, 0, True)
    assert script.steps.making is None, "nobody knows yet what it is for"
    script.steps.got(batches)
    script.train()
    script.steps.asks(batches, UNKNOWN, 0, True)
    assert script.steps.making == "later"
    time.sleep(0.02)
    script.steps.got(batches)
    made_ns = script.steps.making_ns
    assert script.steps.making is None and made_ns >= 20_000_000
    script.train()
    script.steps.asks(batches, 0, 0, True)
    assert script.steps.making is None
    script.steps.got(batches)
    script.train()
    script.stop(batches)
    again = script.iterate(loader(0))
    again.loader.trains = True
    script.steps.asks(again, UNKNOWN, UNKNOWN, True)
    assert script.steps.making == "first"
    script.steps.failed(again)
    assert script.steps.making is None
    assert script.steps.making_ns == made_ns


def test_a_forward_lies_between_a_batch_and_its_first_backward(script: Script) -> None:
    """Once its loader is known to be trained with; what is looked at and not trained with has none."""
    batches = script.iterate(loader(0))
    script.fetch(batches)
    script.train()
    script.fetch(batches)
    assert script.steps.computing
    time.sleep(0.02)
    moment = script.steps.moment
    script.backward()
    assert not script.steps.computing
    assert script.steps.forward_ns >= 20_000_000
    assert list(script.steps.forwards) == [moment]
    spent_ns = script.steps.forward_ns
    script.backward()
    script.update()
    assert script.steps.forward_ns == spent_ns
    assert script.steps.backward_ns > 0
    script.fetch(batches)
    script.stop(batches)
    assert len(script.steps.forwards) == 1


def test_a_step_before_an_evaluation_ends_with_its_update(script: Script) -> None:
    """What an evaluation takes is not the step's, however long after it comes."""
    train, check = script.iterate(loader(0)), script.iterate(loader(1))
    script.fetch(train)
    script.train()
    time.sleep(0.05)
    script.fetch(check, check)
    script.stop(check)
    script.fetch(train)
    script.train()
    records = script.records()
    assert [(record.block, record.backwards) for record in records] == [
        (0, 1),
        (1, 0),
        (1, 0),
        (0, 1),
    ]
    assert records[0].step_s < 0.05


def test_an_evaluation_left_early_ends_where_it_was_left(script: Script) -> None:
    """The next step of training begins with its own fetch."""
    train, check = script.iterate(loader(0)), script.iterate(loader(1))
    script.fetch(train)
    script.train()
    script.fetch(check)
    script.steps.left(check)
    time.sleep(0.05)
    script.fetch(train)
    script.train()
    records = script.records()
    assert [record.block for record in records] == [0, 1, 0]
    assert records[1].step_s < 0.05


def test_a_look_at_one_batch_does_not_take_the_training_in(script: Script) -> None:
    """`images, labels = next(dataiter)`, its iterator alive, is told from a companion by what follows."""
    peek, train = script.iterate(loader(0)), script.iterate(loader(0))
    script.fetch(peek)
    for _ in range(3):
        script.fetch(train)
        script.train()
    assert script.counts() == [(0, 0, 0), (1, 1, 1), (1, 1, 1), (1, 1, 1)]


def test_an_evaluation_before_the_backward_is_one(script: Script) -> None:
    """A second fetch without a backward is no companion's."""
    train, check = script.iterate(loader(0)), script.iterate(loader(1))
    script.fetch(train, check, check)
    script.stop(check)
    assert script.counts() == [(1, 0, 0), (1, 0, 0), (0, 0, 0)]


def test_a_loop_that_reads_ahead_keeps_its_last_batch(script: Script) -> None:
    """accelerate asks for the batch after this one first: the last is computed with after the end."""
    batches = script.iterate(loader(0))
    script.fetch(batches)
    for _ in range(3):
        script.fetch(batches)
        script.train()
    script.stop(batches)
    script.train()
    check = script.iterate(loader(1))
    script.fetch(check)
    script.stop(check)
    assert script.counts() == [(0, 0, 0), (0, 1, 1), (0, 1, 1), (0, 2, 2), (1, 0, 0)]


def test_an_iterator_made_for_one_batch_is_a_step_of_training(script: Script) -> None:
    """`next(iter(loader))` in every step: the iterator is gone before its batch is used."""
    source = loader(0)
    for _ in range(3):
        batches = script.iterate(source)
        script.fetch(batches)
        script.steps.left(batches)
        script.train()
    assert script.counts() == [(0, 1, 1), (1, 1, 1), (2, 1, 1)]


def test_without_a_loader_an_update_is_a_step(script: Script) -> None:
    """It has waited for nothing; an evaluation with a loader between is none of it."""
    check = script.iterate(loader(0))
    for _ in range(2):
        script.backward()
        script.train()
    script.fetch(check)
    script.stop(check)
    script.train()
    records = script.records()
    assert [(record.block, record.backwards, record.updates) for record in records] == [
        (NO_LOADER, 2, 1),
        (NO_LOADER, 2, 1),
        (0, 0, 0),
        (NO_LOADER, 1, 1),
    ]
    assert [record.data_wait_s for record in records if record.block == NO_LOADER] == [0.0] * 3


def test_an_update_between_passes_is_no_step_where_a_loader_trains(script: Script) -> None:
    """Averages and calibrations between epochs are told apart from the steps."""
    batches = script.iterate(loader(0))
    for _ in range(2):
        script.fetch(batches)
        script.train()
    script.stop(batches)
    script.train()
    assert script.counts() == [(0, 1, 1), (0, 1, 1), (NO_LOADER, 1, 1)]


def test_an_optimizer_made_of_others_counts_once(script: Script) -> None:
    """The inner ones' updates are parts of its own."""
    batches = script.iterate(loader(0))
    script.fetch(batches)
    script.backward()
    script.steps.update_begins("outer")
    script.update("inner")
    script.update("other")
    script.steps.update_ends("outer")
    assert script.counts() == [(0, 1, 1)]


def test_an_update_that_raised_does_not_hide_the_next(script: Script) -> None:
    """Its end is never told."""
    batches = script.iterate(loader(0))
    script.fetch(batches)
    script.backward()
    script.steps.update_begins("adam")
    script.update("adam")
    assert script.counts() == [(0, 1, 1)]


def test_a_fetch_that_raised_leaves_no_record(script: Script) -> None:
    """The step before it stays."""
    batches = script.iterate(loader(0))
    script.fetch(batches)
    script.train()
    script.steps.asks(batches, *queue_of(batches))
    script.steps.failed(batches)
    assert script.counts() == [(0, 1, 1)]


def test_what_an_update_does_after_its_last_backward_is_the_update(script: Script) -> None:
    """In a closure forward and backward come first: no moment of theirs is one in which an update ended."""
    batches = script.iterate(loader(0))
    script.fetch(batches)
    script.train()
    moment = script.steps.moment
    assert list(script.steps.updates) == [moment] and not script.steps.updating
    script.fetch(batches)
    script.steps.update_begins("lightning")
    time.sleep(0.02)
    assert not script.steps.updating, "a forward"
    before_ns = time.perf_counter_ns()
    script.backward()
    assert script.steps.updating
    last, began_ns = script.steps.moment, script.steps.update_ns
    time.sleep(0.01)
    script.steps.update_ends("lightning")
    most_ns = time.perf_counter_ns() - before_ns
    assert list(script.steps.updates) == [moment, last] and not script.steps.updating
    assert 10_000_000 <= script.steps.update_ns - began_ns <= most_ns
