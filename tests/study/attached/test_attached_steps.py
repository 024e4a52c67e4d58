"""Which steps a script has, as its records and passes show it."""

from __future__ import annotations

from pathlib import Path

import pytest
from attached_folders import Script, epochs, loop, primary

from perfkit.study.attached.loop import loop_of
from perfkit.study.attached.passes import NO_LOADER, passes_of
from perfkit.study.attached.result import attached_run


def test_two_loaders_that_train_in_turns_are_each_their_own(tmp_path: Path) -> None:
    """Epochs are those of the loader with more steps, and steps of both are steps."""
    script = Script()
    script.loader(0)
    script.loader(1)
    for _ in range(3):
        for place, steps in ((0, 30), (1, 10)):
            number = script.begin(place)
            for _ in range(steps):
                script.step(number, wait_s=0.001 if place == 0 else 0.011)
            script.end(number)
    found = loop(script, tmp_path)
    assert (found.main.number, found.epochs_seen, found.steps_per_epoch) == (0, 3, 40)
    assert found.widest.number == 1


def test_batches_of_a_companion_are_no_steps(tmp_path: Path) -> None:
    """`zip` of two loaders: the second one's batches go into the first one's steps."""
    script = Script()
    script.loader(0)
    script.loader(1)
    for _ in range(2):
        number, other = script.begin(0), script.begin(1, iter_s=0.1)
        for _ in range(30):
            script.step(number)
        script.end(number)
        script.end(other, companion=number)
    recorded = script.recorded(tmp_path)
    passes = passes_of(recorded)
    assert [one.number for one in passes.training] == [0, 2]
    assert passes.evaluation == []
    found = loop_of(recorded, passes)
    assert found is not None and found.start_s == pytest.approx(0.1)


def test_a_companion_that_goes_on_alone_has_the_steps_of_the_epoch(tmp_path: Path) -> None:
    """`zip(itertools.cycle(labelled), unlabelled)`: 10 steps have a batch of both, 26 one of the second."""
    script = Script()
    script.loader(0, num_workers=1)
    script.loader(1, num_workers=2, batch_size=24)
    for _ in range(3):
        number = script.begin(0, workers=[7])
        other = script.begin(1, workers=[8, 9])
        for _ in range(10):
            script.step(number, wait_s=0.02)
        script.end(number)
        for _ in range(26):
            script.step(other, wait_s=0.02)
        script.end(other, companion=number, joined_s=0.19)
    found = loop(script, tmp_path)
    assert (found.main.number, found.epochs_seen, found.steps_per_epoch) == (1, 3, 36)
    assert found.work_s.get("work between epochs", 0.0) == pytest.approx(0.0, abs=1e-6)
    assert found.passes.workers_of(1) == {8, 9} and found.passes.workers_of(None) == {7, 8, 9}


@pytest.mark.parametrize(("joined_s", "waited_for"), [(0.5, 1), (0.2, 0)])
def test_advice_is_about_the_loader_that_was_waited_for(
    tmp_path: Path, joined_s: float, waited_for: int
) -> None:
    """`zip` of two loaders: all waits are in the first one's steps, whichever is slow."""
    script = Script()
    script.loader(0)
    script.loader(1)
    for _ in range(2):
        number, other = script.begin(0), script.begin(1)
        for _ in range(30):
            script.step(number, wait_s=0.02)
        script.end(number)
        script.end(other, companion=number, joined_s=joined_s)
    assert loop(script, tmp_path).widest.number == waited_for


def test_accumulated_steps_are_steps_without_an_update(tmp_path: Path) -> None:
    """A batch is a step, whether its gradients are applied at once or not."""
    script = Script()
    script.loader()
    for _ in range(2):
        number = script.begin()
        for step in range(32):
            last = step % 4 == 3
            script.step(number, updates=int(last), optimizer_s=0.004 if last else float("nan"))
        script.end(number)
    run = attached_run(script.recorded(tmp_path))
    assert run is not None and len(run.loop.steps) == 64
    assert run.row.phases_s["optimizer"] == pytest.approx(0.001, rel=0.1)


def test_updates_are_steps_only_where_no_loader_trains(tmp_path: Path) -> None:
    """A loop over tensors of its own has no waits, and one beside a loader no steps."""
    bare = Script()
    for _ in range(40):
        bare.step(-1, wait_s=0.0)
    found = loop(bare, tmp_path / "bare")
    assert len(found.steps) == 40 and found.main.where is None
    beside = Script()
    beside.step(-1, wait_s=0.0)
    epochs(beside, 2)
    assert len(loop(beside, tmp_path / "beside").steps) == 60


def test_a_loader_that_is_begun_for_every_batch_is_an_epoch_of_one_step(tmp_path: Path) -> None:
    """`next(iter(loader))`: what beginning costs is paid at each step."""
    script = epochs(Script(), 50, steps=1, iter_s=0.03)
    found = loop(script, tmp_path)
    assert (found.epochs_seen, found.steps_per_epoch) == (50, 1)
    assert found.start_s == pytest.approx(0.03)
    assert primary(script, tmp_path / "again") == "startup_bound"


def test_batches_that_are_used_again_are_steps(tmp_path: Path) -> None:
    """`itertools.cycle(loader)`: each batch came from the loader once, and without it from then on."""
    script = epochs(Script(), 1, steps=30)
    for _ in range(60):
        script.step(NO_LOADER, wait_s=0.0)
    found = loop(script, tmp_path)
    assert (len(found.steps), found.main.number, found.epochs_seen) == (90, NO_LOADER, 1)


def test_few_updates_outside_of_the_loader_are_none(tmp_path: Path) -> None:
    """A calibration after the training."""
    script = epochs(Script(), 2, steps=30)
    for _ in range(10):
        script.step(NO_LOADER, wait_s=0.0)
    found = loop(script, tmp_path)
    assert (len(found.steps), found.main.number, found.epochs_seen) == (60, 0, 2)


def test_an_evaluation_that_needs_gradients_is_no_training(tmp_path: Path) -> None:
    """Adversarial examples take a backward, and no update; where none is seen at all, backwards train."""
    for updates, trained in ((1, 40), (0, 60)):
        script = Script()
        for _ in range(2):
            for place, count, updated in ((0, 20, updates), (1, 10, 0)):
                number = script.begin(place)
                for _ in range(count):
                    script.step(number, updates=updated)
                script.end(number)
        assert len(loop(script, tmp_path / str(updates)).steps) == trained


def test_batches_of_two_loaders_in_turn_are_both_trained_with(tmp_path: Path) -> None:
    """Gradients of both go into the update that follows the second."""
    script = Script()
    first, second = script.begin(0), script.begin(1)
    for _ in range(20):
        script.step(first, updates=0)
        script.step(second, updates=1)
    assert len(loop(script, tmp_path).steps) == 40
