"""Evaluations beside the steps of a training, and which steps go on after them."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from hooked_script import Script, loader

from perfkit.training.attach.passes import NO_LOADER
from perfkit.training.attach.watcher import queue_of


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
