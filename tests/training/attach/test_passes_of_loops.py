"""Loops as scripts have them: evaluations within steps, looks at a batch, several updates on one."""

from __future__ import annotations

import pytest
from hooked_script import Script, loader

from perfkit.training.attach.passes import MOST_BACKWARDS, NO_LOADER
from perfkit.training.attach.watcher import queue_of


@pytest.mark.parametrize("alive", [True, False])
def test_after_a_look_at_a_batch_updates_are_steps(script: Script, alive: bool) -> None:
    """Batches are made by hand then; whether the iterator lives on tells nothing."""
    peek = script.iterate(loader(0))
    script.fetch(peek)
    if not alive:
        script.steps.left(peek)
    for _ in range(12):
        script.train()
    assert script.counts() == [(0, 1, 1)] + [(NO_LOADER, 1, 1)] * 11
    assert script.steps.trained == 12
    assert (peek.backwards, peek.updates) == (1, 1)


def test_a_batch_that_is_used_over_and_over(script: Script) -> None:
    """Of many updates it is known before the end that no other batch comes."""
    only = script.iterate(loader(0))
    script.fetch(only)
    for _ in range(50):
        script.backward()
        script.train()
    assert script.steps.trained == 50
    assert script.counts() == [(0, 2, 1)] + [(NO_LOADER, 2, 1)] * 49


def test_an_evaluation_after_a_look_and_updates(script: Script) -> None:
    """It ends none of the steps without a loader, nor becomes training."""
    peek, check = script.iterate(loader(0)), loader(1)
    script.fetch(peek)
    for _ in range(3):
        for _ in range(4):
            script.train()
        evaluation = script.iterate(check)
        script.fetch(evaluation, evaluation)
        script.stop(evaluation)
    counts = script.counts()
    assert [one for one in counts if one[1]] == [(0, 1, 1)] + [(NO_LOADER, 1, 1)] * 11
    assert script.steps.trained == 12


@pytest.mark.parametrize("optimizers", ["dg", "ddddd", "dddddg"])
@pytest.mark.parametrize("made_anew", [True, False])
def test_several_updates_on_a_batch_are_one_step(
    script: Script, optimizers: str, made_anew: bool
) -> None:
    """From the first batch on, if its loader is asked again."""
    source = loader(0)
    batches = script.iterate(source)
    for _ in range(3):
        script.fetch(batches)
        if made_anew:
            script.steps.left(batches)
        for optimizer in optimizers:
            script.backward()
            script.update(optimizer)
        if made_anew:
            batches = script.iterate(source)
    script.stop(batches)
    count = len(optimizers)
    assert [one[1:] for one in script.counts()] == [(count, count)] * 3
    assert script.steps.trained == 3


def test_a_gan_is_evaluated_after_its_first_step(script: Script) -> None:
    """Two optimizers' updates on the first batch are its step all the same."""
    train, check = script.iterate(loader(0)), script.iterate(loader(1))
    for step in range(2):
        script.fetch(train)
        for optimizer in "dg":
            script.backward()
            script.update(optimizer)
        if not step:
            script.fetch(check, check)
            script.stop(check)
    assert script.counts() == [(0, 2, 2), (1, 0, 0), (1, 0, 0), (0, 2, 2)]


def test_replayed_batches_are_steps_without_a_loader(script: Script) -> None:
    """`itertools.cycle(loader)` asks for each batch once and gives it again from then on."""
    batches = script.iterate(loader(0))
    for _ in range(3):
        script.fetch(batches)
        script.train()
    script.stop(batches)
    for _ in range(6):
        script.train()
    assert script.counts() == [(0, 1, 1)] * 3 + [(NO_LOADER, 1, 1)] * 6


def test_a_batch_that_is_skipped_is_a_step_of_its_pass(script: Script) -> None:
    """`continue` before the backward; the last batch is no one's that reads ahead."""
    batches = script.iterate(loader(0))
    for step in range(4):
        script.fetch(batches)
        if step != 1:
            script.train()
    script.stop(batches)
    script.train()
    assert script.counts() == [(0, 1, 1), (0, 0, 0), (0, 1, 1), (0, 1, 1), (NO_LOADER, 1, 1)]


def test_a_batch_skipped_after_an_evaluation(script: Script) -> None:
    """The step that was set aside is one without a backward."""
    train, check = script.iterate(loader(0)), script.iterate(loader(1))
    script.fetch(train, check, check, train)
    script.train()
    script.fetch(train)
    script.train()
    assert sorted(script.counts()) == [(0, 0, 0), (0, 1, 1), (0, 1, 1), (1, 0, 0), (1, 0, 0)]


def test_a_gan_that_reads_ahead_keeps_its_last_batch(script: Script) -> None:
    """More backwards than batches do not hide that it reads ahead."""
    batches = script.iterate(loader(0))
    script.fetch(batches)
    for _ in range(2):
        script.fetch(batches)
        script.train()
        script.train()
    script.stop(batches)
    script.train()
    script.train()
    assert script.counts() == [(0, 0, 0), (0, 2, 2), (0, 4, 4)]


def test_inner_loops_over_a_task_of_an_outer_loader(script: Script) -> None:
    """The outer batch is no step; its own update at the end is in none."""
    outer = script.iterate(loader(0))
    inner = loader(1)
    for _ in range(2):
        script.fetch(outer)
        task = script.iterate(inner)
        for _ in range(3):
            script.fetch(task)
            script.train()
        script.stop(task)
    script.stop(outer)
    counts = script.counts()
    assert [one[1:] for one in counts if one[0] != 0] == [(1, 1)] * 6
    assert [one for one in counts if one[0] == 0] == [(0, 0, 0)] * 2


def test_inner_loops_of_one_batch(script: Script) -> None:
    """Every batch of either loader leaves one record."""
    outer, inner = script.iterate(loader(0)), loader(1)
    for _ in range(3):
        script.fetch(outer)
        task = script.iterate(inner)
        script.fetch(task)
        script.train()
        script.stop(task)
    script.stop(outer)
    assert len([one for one in script.counts() if one[1:] == (1, 1)]) == 3


def test_an_exception_that_was_caught_ends_the_step(script: Script) -> None:
    """In the backward, in the update, or in the loader: the next pass counts as it is."""
    source = loader(0)
    for how in ("backward", "update", "fetch", "none"):
        batches = script.iterate(source)
        script.fetch(batches)
        script.train()
        script.fetch(batches)
        if how == "backward":
            script.backward()
        elif how == "update":
            script.backward()
            script.steps.update_begins("adam")
        elif how == "fetch":
            script.steps.asks(batches, *queue_of(batches))
            script.steps.failed(batches)
        script.steps.left(batches)
    found = [(0, 1, 1), (0, 1, 0), (1, 1, 1), (1, 1, 0), (2, 1, 1), (2, 0, 0), (3, 1, 1), (3, 0, 0)]
    assert script.counts() == found


def test_what_is_forgotten_leaves_nothing(script: Script) -> None:
    """Another thread trains: what this one fetched, set aside or not, is not its affair."""
    first, second = script.iterate(loader(0)), script.iterate(loader(1))
    script.fetch(first, second)
    script.steps.forget()
    script.train()
    script.train()
    assert script.counts() == [(NO_LOADER, 1, 1)] * 2


def test_a_loader_after_batches_made_by_hand(script: Script) -> None:
    """Each of its batches is a step, from the first on."""
    batches = script.iterate(loader(0))
    for _ in range(2):
        script.train()
    for _ in range(3):
        script.fetch(batches)
        script.train()
    assert script.counts() == [(NO_LOADER, 1, 1)] * 2 + [(0, 1, 1)] * 3


def test_an_endless_evaluation_beside_batches_made_by_hand(script: Script) -> None:
    """Several batches at a time are none that is trained with."""
    check = script.iterate(loader(0))
    for _ in range(3):
        script.train()
        script.train()
        script.fetch(check, check, check)
    script.train()
    counts = script.counts()
    assert [one for one in counts if one[1]] == [(NO_LOADER, 1, 1)] * 7
    assert [one for one in counts if not one[1]] == [(0, 0, 0)] * 9


def test_without_loader_and_optimizer_a_backward_is_a_step(script: Script) -> None:
    """Weights are changed by hand, as in torch's example of a language model; the first ones are one step."""
    for _ in range(MOST_BACKWARDS + 12):
        script.backward()
    assert (script.steps.trained, script.told.trained) == (1 + 12, 1)
    assert script.counts() == [(NO_LOADER, MOST_BACKWARDS, 0)] + [(NO_LOADER, 1, 0)] * 12


def test_gradients_of_many_batches_that_are_added_up_are_one_step(script: Script) -> None:
    """A little fewer for each update, over and over."""
    for _ in range(3):
        for _ in range(MOST_BACKWARDS - 2):
            script.backward()
        script.train()
    assert script.counts() == [(NO_LOADER, MOST_BACKWARDS - 1, 1)] * 3


def test_an_update_that_comes_late_is_a_step_from_then_on(script: Script) -> None:
    """What was before it stays as it was told."""
    for _ in range(MOST_BACKWARDS + 1):
        script.backward()
    script.update()
    for _ in range(2):
        for _ in range(2 * MOST_BACKWARDS):
            script.backward()
        script.update()
    later = [(NO_LOADER, 2 * MOST_BACKWARDS, 1)] * 2
    assert script.counts()[-2:] == later


def test_backwards_beside_a_loader_s_steps_are_none(script: Script) -> None:
    """Gradients by hand after an epoch: of inputs, for a plot of saliency."""
    epoch = script.iterate(loader(0))
    for _ in range(3):
        script.fetch(epoch)
        script.train()
    script.stop(epoch)
    for _ in range(2 * MOST_BACKWARDS):
        script.backward()
    assert script.counts()[:3] == [(0, 1, 1)] * 3
    assert len(script.counts()) <= 4
