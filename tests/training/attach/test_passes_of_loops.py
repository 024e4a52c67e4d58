"""Loops as scripts have them: evaluations within steps, looks at a batch, several updates on one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hooked_script import Script, loader

from perfkit.training.attach.fetches import queue_of
from perfkit.training.attach.passes import NO_LOADER


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path / "steps.bin")


@pytest.mark.parametrize("batches", [1, 3])
@pytest.mark.parametrize("every", [1, 2])
def test_a_step_goes_on_after_an_evaluation_before_its_backward(
    script: Script, batches: int, every: int
) -> None:
    """From the first step on; the evaluation is in the step, and in no phase of it."""
    train, check = script.iterate(loader(0)), loader(1)
    for step in range(4):
        script.fetch(train)
        if step % every == 0:
            evaluation = script.iterate(check)
            script.fetch(*[evaluation] * batches)
            time.sleep(0.02)
            script.stop(evaluation)
        script.train()
    script.stop(train)
    records = script.records()
    steps = [record for record in records if record.block == train.number]
    assert [(record.backwards, record.updates) for record in steps] == [(1, 1)] * 4
    assert all(record.step_s >= 0.02 > record.forward_s for record in steps[::every])
    evaluated = [record for record in records if record.block != train.number]
    assert [(record.backwards, record.updates) for record in evaluated] == [(0, 0)] * (
        batches * 4 // every
    )
    assert script.steps.trained == 4


def test_an_evaluation_from_an_endless_iterator_is_no_training(script: Script) -> None:
    """Its iterator lives on, and the backward that follows is that of the batch before it."""
    train, check = script.iterate(loader(0)), script.iterate(loader(1))
    for step in range(4):
        script.fetch(train)
        if step % 2 == 0:
            script.fetch(check, check, check)
        script.train()
    assert sorted(script.counts()) == [(0, 1, 1)] * 4 + [(1, 0, 0)] * 6


def test_an_evaluation_left_early_before_the_backward(script: Script) -> None:
    """`break` drops its iterator: the step goes on then."""
    train = script.iterate(loader(0))
    for _ in range(2):
        script.fetch(train)
        check = script.iterate(loader(1))
        script.fetch(check, check)
        script.steps.left(check)
        script.train()
    assert sorted(script.counts()) == [(0, 1, 1)] * 2 + [(1, 0, 0)] * 2 + [(2, 0, 0)] * 2


def test_two_evaluations_in_turn_before_the_backward(script: Script) -> None:
    """The step goes on after both."""
    train = script.iterate(loader(0))
    for _ in range(2):
        script.fetch(train)
        for number in (1, 2):
            check = script.iterate(loader(number))
            script.fetch(check, check)
            script.stop(check)
        script.train()
    counts = script.counts()
    assert [one for one in counts if one[0] == 0] == [(0, 1, 1)] * 2
    assert [one[1:] for one in counts if one[0] != 0] == [(0, 0)] * 8


def test_an_evaluation_of_what_is_zipped_else(script: Script) -> None:
    """A loader that was a companion, gone through within a step, is an evaluation then."""
    train, other = script.iterate(loader(0)), loader(1)
    beside = script.iterate(other)
    for _ in range(2):
        script.fetch(train, beside)
        script.train()
    script.fetch(train)
    check = script.iterate(other)
    script.fetch(check, check, check)
    script.stop(check)
    script.train()
    counts = script.counts()
    assert [one for one in counts if one[0] == 0] == [(0, 1, 1)] * 3
    assert {one[1:] for one in counts if one[0] != 0} == {(0, 0)}


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


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("alive", [True, False])
def test_an_evaluation_of_one_batch_without_gradients(
    script: Script, off: Any, alive: bool
) -> None:
    """`next(iter(check))` before the backward is no companion: what it takes is no wait of the step."""
    train, source = script.iterate(loader(0)), loader(1)
    for step in range(5):
        script.fetch(train)
        if step % 2 == 0:
            check = script.iterate(source)
            with off():
                script.steps.asks(check, *queue_of(check))
                time.sleep(0.02)
                script.steps.got(check)
            if not alive:
                script.steps.left(check)
        script.train()
    script.stop(train)
    records = script.records()
    steps = [record for record in records if record.block == train.number]
    assert [(record.backwards, record.updates) for record in steps] == [(1, 1)] * 5
    assert all(record.data_wait_s < 0.02 <= record.step_s for record in steps[::2])
    assert [record.backwards for record in records if record.block != train.number] == [0] * 3
    assert not source.trains


@pytest.mark.parametrize("made_by_hand", [True, False])
def test_a_backward_after_an_evaluation_of_one_batch(script: Script, made_by_hand: bool) -> None:
    """It is not the evaluation's, whether the batch before it was made by hand or fetched."""
    train, check = script.iterate(loader(0)), script.iterate(loader(1))
    for _ in range(3):
        if not made_by_hand:
            script.fetch(train)
        script.train()
        with torch.no_grad():
            script.fetch(check)
        script.backward()
        if made_by_hand:
            script.update()
    counts = script.counts()
    assert [one for one in counts if one[0] == check.number] == [(check.number, 0, 0)] * 3
    trained = [one for one in counts if one[2]]
    assert trained == ([(NO_LOADER, 1, 1)] * 6 if made_by_hand else [(0, 1, 1)] * 3)


def test_batches_that_are_all_fetched_without_gradients(script: Script) -> None:
    """`@torch.no_grad()` round what gives the batches tells nothing: they are steps, zipped ones too."""
    first, second = script.iterate(loader(0)), script.iterate(loader(1))
    for _ in range(3):
        with torch.no_grad():
            script.fetch(first, second)
        script.train()
    assert script.counts() == [(0, 1, 1)] * 3


def test_batches_fetched_without_gradients_after_a_look_at_one(script: Script) -> None:
    """The look was with gradients on; the loader is the one that is trained with."""
    source = loader(0)
    peek, train = script.iterate(source), script.iterate(source)
    script.fetch(peek)
    for _ in range(3):
        with torch.no_grad():
            script.fetch(train)
        script.train()
    assert script.counts() == [(0, 0, 0), (1, 1, 1), (1, 1, 1), (1, 1, 1)]
