"""Which function a training loop calls, as its stack shows it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import contextmanager
from types import CodeType
from typing import Any

from perfkit.training.probe.frames import Seen, seen_in, users_codes


class Looks:
    """Takes the loop's code once, then what is seen of the stack."""

    def __init__(self) -> None:
        self.loop: tuple[CodeType, ...] = ()
        self.seen: list[Seen] = []

    def asks(self) -> None:
        self.loop = users_codes(sys._getframe().f_back)

    def sample(self) -> None:
        frame = sys._getframe().f_back
        assert frame is not None
        self.seen.append(seen_in(frame, self.loop))


def burn(looks: Looks) -> None:
    looks.sample()


def make_plots(looks: Looks) -> None:
    burn(looks)


def f1(looks: Looks) -> None:
    [looks.sample() for _ in range(1)]


@contextmanager
def off() -> Any:
    yield


@off()
def decorated(looks: Looks) -> None:
    looks.sample()


def fetch(looks: Looks) -> None:
    """A helper of the loop that asks for the batch."""
    looks.asks()


def train(looks: Looks, work: Callable[[Looks], Any]) -> int:
    """Returns the line that calls the work."""
    fetch(looks)
    work(looks)
    return train.__code__.co_firstlineno + 3


def seen(work: Callable[[Looks], Any]) -> tuple[Seen, int]:
    looks = Looks()
    line = train(looks, work)
    (found,) = looks.seen
    return found, line


def test_the_function_that_the_loop_calls_is_named_with_the_line_of_the_call() -> None:
    """And the one that it led to beside it; the helper that asks for the batch is not the loop."""
    found, line = seen(make_plots)
    assert (found.function, found.line, found.path) == ("make_plots", line, __file__)
    assert (found.inner, found.inner_line) == ("burn", burn.__code__.co_firstlineno + 1)


def test_a_function_by_itself_has_no_inner_one() -> None:
    found, line = seen(burn)
    assert (found.function, found.line, found.inner) == ("burn", line, "")


def test_a_comprehension_is_part_of_its_function() -> None:
    found, line = seen(f1)
    assert (found.function, found.line, found.inner) == ("f1", line, "")


def test_a_function_called_in_a_comprehension_or_a_lambda_of_the_loop_is_named() -> None:
    """The lambda stands in `loop`, which calls nothing else."""

    def loop(looks: Looks) -> int:
        looks.asks()
        (lambda: [burn(looks) for _ in range(1)])()
        return loop.__code__.co_firstlineno + 2

    looks = Looks()
    line = loop(looks)
    assert [(one.function, one.line) for one in looks.seen] == [("burn", line)]


def test_a_lambda_of_the_loop_that_calls_nothing_is_the_loop_s_own_line() -> None:
    def loop(looks: Looks) -> int:
        looks.asks()
        (lambda: looks.sample())()
        return loop.__code__.co_firstlineno + 2

    looks = Looks()
    line = loop(looks)
    assert [(one.function, one.line) for one in looks.seen] == [("loop", line)]


def test_the_call_of_a_decorated_function_is_where_it_is_called() -> None:
    """`torch.no_grad()` as a decorator lies between."""
    found, line = seen(decorated)
    assert (found.function, found.line) == ("decorated", line)


def test_a_function_that_a_library_calls_has_its_own_line() -> None:
    """The loop's line would name the library's call, as `trainer.fit()`."""

    def finished(future: Future[Looks]) -> None:
        future.result().sample()

    def work(looks: Looks) -> None:
        done: Future[Looks] = Future()
        done.set_result(looks)
        looks.asks()
        done.add_done_callback(finished)

    looks = Looks()
    work(looks)
    (found,) = looks.seen
    assert (found.function, found.line) == ("finished", finished.__code__.co_firstlineno + 1)


def test_without_a_loop_the_outermost_function_is_named() -> None:
    """As in a thread of its own, before a batch was asked for."""
    looks = Looks()
    thread = threading.Thread(target=make_plots, args=(looks,))
    thread.start()
    thread.join()
    (found,) = looks.seen
    line = make_plots.__code__.co_firstlineno + 1
    assert (found.function, found.line, found.inner) == ("make_plots", line, "burn")
