"""Which of a script's threads trains."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hooked_script import Script, loader

from perfkit.training.attach.loaders import Pass
from perfkit.training.attach.passes import NO_LOADER
from perfkit.training.attach.threads import OtherThreads


class Threaded:
    """A script whose calls come from threads, as the hooks pass them on."""

    def __init__(self, path: Path) -> None:
        self.script = Script(path)
        self.others = OtherThreads()
        self.thread = threading.get_ident()

    def fetch(self, asking: Pass) -> None:
        if self._trains(asking):
            self.script.fetch(asking)

    def train(self) -> None:
        if self._trains(None):
            self.script.backward()
        if self._trains(None):
            self.script.update()

    def epoch(self, batches: Pass, steps: int = 3) -> None:
        for _ in range(steps):
            self.fetch(batches)
            self.train()

    def _trains(self, asking: Pass | None) -> bool:
        own, steps = threading.get_ident(), self.script.steps
        if own != self.thread:
            if not self.others.may_take_over(self.thread, steps, asking):
                return False
            self.thread = own
            self.others.takes_over(steps, asking)
        return True


@pytest.fixture
def threaded(tmp_path: Path) -> Threaded:
    return Threaded(tmp_path / "steps.bin")


def in_a_thread(does: Callable[[], None]) -> None:
    thread = threading.Thread(target=does)
    thread.start()
    thread.join()


def test_a_new_thread_for_every_epoch(threaded: Threaded) -> None:
    """The one before it is over: every step is seen."""
    source = loader(0)
    for number in range(3):
        batches = threaded.script.iterate(source)
        # numbers of threads are given again; this one is nobody's
        threaded.thread = -1 - number
        in_a_thread(lambda batches=batches: threaded.epoch(batches))  # type: ignore[misc]
    assert threaded.script.counts() == [(n, 1, 1) for n in (0, 1, 2) for _ in range(3)]
    assert threaded.others.news() == {}


def test_a_trainer_after_a_warm_up_in_the_main_thread(threaded: Threaded) -> None:
    """That one rests after its last update, and joins the other."""
    source = loader(0)
    first, second = threaded.script.iterate(source), threaded.script.iterate(source)
    threaded.epoch(first, 2)
    in_a_thread(lambda: threaded.epoch(second, 5))
    threaded.epoch(first, 2)
    counts = [(0, 1, 1)] * 2 + [(1, 1, 1)] * 5 + [(0, 1, 1)] * 2
    assert threaded.script.counts() == counts
    assert threaded.script.steps.trained == 9


def test_a_trainer_after_a_look_at_a_batch_in_the_main_thread(threaded: Threaded) -> None:
    """Nothing of the look stays, and the first step of the trainer is counted."""
    peek, train = threaded.script.iterate(loader(0)), threaded.script.iterate(loader(0))
    threaded.fetch(peek)
    in_a_thread(lambda: threaded.epoch(train))
    assert threaded.script.counts() == [(1, 1, 1)] * 3


def test_a_trainer_that_has_its_batches_from_elsewhere(threaded: Threaded) -> None:
    """After a warm-up in the main thread; its first backward is the one that is not seen."""
    threaded.epoch(threaded.script.iterate(loader(0)), 2)
    in_a_thread(lambda: [threaded.train() for _ in range(4)])
    counts = threaded.script.counts()
    assert counts == [(0, 1, 1)] * 2 + [(NO_LOADER, 0, 1)] + [(NO_LOADER, 1, 1)] * 3


def test_a_thread_that_only_fetches_is_told_of_and_takes_nothing_over(threaded: Threaded) -> None:
    """Its batches are trained with by the main thread, which has them from a queue."""
    batches = threaded.script.iterate(loader(3))
    threaded.train()
    for _ in range(4):
        in_a_thread(lambda: threaded.fetch(batches))
        threaded.train()
    assert threaded.script.counts() == [(NO_LOADER, 1, 1)] * 5
    found = threaded.others.news()
    assert found == {3: 4}
    assert threaded.others.news() == {}


def test_a_thread_that_computes_beside_a_step_that_runs_takes_nothing_over(
    threaded: Threaded,
) -> None:
    """The main thread has fetched a batch and not trained with it yet: it goes on."""
    batches, others = threaded.script.iterate(loader(0)), threaded.script.iterate(loader(1))
    threaded.epoch(batches, 1)
    threaded.fetch(batches)
    in_a_thread(lambda: threaded.epoch(others, 1))
    threaded.train()
    assert threaded.script.counts() == [(0, 1, 1)] * 2


def test_a_step_that_is_left_amid_it(threaded: Threaded) -> None:
    """`break` after a fetch drops the iterator: the next step of another thread is seen, and all after it."""
    first, second = threaded.script.iterate(loader(0)), threaded.script.iterate(loader(0))
    threaded.epoch(first, 2)
    threaded.fetch(first)
    threaded.script.steps.left(first)
    in_a_thread(lambda: threaded.epoch(second, 3))
    assert threaded.script.counts() == [(0, 1, 1)] * 2 + [(0, 0, 0)] + [(1, 1, 1)] * 3


def test_a_step_that_is_left_amid_it_with_its_iterator_alive(threaded: Threaded) -> None:
    """Only a whole step of the other thread, which is not counted, shows that it does not go on."""
    first, second = threaded.script.iterate(loader(0)), threaded.script.iterate(loader(0))
    threaded.epoch(first, 2)
    threaded.fetch(first)
    in_a_thread(lambda: threaded.epoch(second, 4))
    assert threaded.script.counts() == [(0, 1, 1)] * 2 + [(0, 0, 0)] + [(1, 1, 1)] * 3


def test_a_thread_with_the_number_of_one_that_is_over_is_another() -> None:
    """Its number is the same, and the kernel's is not."""
    others, found = OtherThreads(), []

    def asks() -> None:
        found.append(others.is_another(threading.get_ident()))

    asks()
    asks()
    in_a_thread(asks)
    assert found == [False, False, True]
    assert not others.is_another(-1)


def test_two_threads_that_train_at_a_time(threaded: Threaded) -> None:
    """The other one computes amid steps of the first, which goes on: one is followed, and that is told."""
    own, others = threaded.script.iterate(loader(0)), threaded.script.iterate(loader(1))
    threaded.epoch(own, 1)
    thread = ThreadPoolExecutor(max_workers=1)
    told: list[bool] = []
    for _ in range(6):
        threaded.fetch(own)
        thread.submit(threaded.epoch, others, 1).result()
        threaded.train()
        told.append(threaded.others.at_once)
    thread.submit(threaded.epoch, others, 9).result()
    thread.shutdown()
    # the first two that are amid a step tell nothing yet: a step may be left with its iterator alive
    assert told == [False, False, False, True, True, True]
    assert threaded.script.counts() == [(0, 1, 1)] * 7


def test_threads_that_take_turns_do_not_train_at_a_time(threaded: Threaded) -> None:
    """One that lives on trains while the other one rests: all of their steps are seen."""
    thread = ThreadPoolExecutor(max_workers=1)
    source = loader(0)
    for _ in range(6):
        threaded.epoch(threaded.script.iterate(source), 2)
        thread.submit(threaded.epoch, threaded.script.iterate(source), 2).result()
    thread.shutdown()
    assert not threaded.others.at_once
    assert [updates for _, _, updates in threaded.script.counts()] == [1] * 24
