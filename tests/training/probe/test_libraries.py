"""Hooks inside of an optimizer's step, and what a library's training loop calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

import pytest
import torch
from torch import nn

from perfkit.training.probe.frames import Seen
from perfkit.training.probe.libraries import codes_of, seen_in_library, seen_updating

Looks = list[Seen | None]


class Own(torch.optim.SGD):
    """An optimizer of the user's own."""

    seen: Looks

    def step(self, closure: Any = None) -> Any:  # type: ignore[override]
        look(self.seen)
        return super().step(closure)


def look(found: Looks) -> None:
    """Take what runs in the caller."""
    found.append(seen_updating(sys._getframe().f_back or sys._getframe()))


def made(kind: type[torch.optim.Optimizer] = torch.optim.SGD) -> tuple[nn.Module, Any]:
    model = nn.Linear(2, 2)
    return model, kind(model.parameters(), lr=0.1)  # type: ignore[call-arg]


def stepping(model: nn.Module, step: Callable[[], Any]) -> None:
    """A function of the user's own that makes the update."""
    model(torch.ones(1, 2)).sum().backward()
    step()


def test_a_hook_is_named() -> None:
    """Not the function that calls the step."""
    (model, optimizer), found = made(), Looks()

    def log_norms(optimizer: Any, args: Any, kwargs: Any) -> None:
        look(found)

    optimizer.register_step_pre_hook(log_norms)
    stepping(model, optimizer.step)
    (seen,) = found
    assert seen is not None and (seen.function, seen.inner) == ("log_norms", "")
    assert seen.line > log_norms.__code__.co_firstlineno


def test_what_a_closure_calls_is_its_inner_function() -> None:
    """As a trainer's callback, which is called after its backward."""
    (model, optimizer), found = made(), Looks()

    def callback() -> None:
        look(found)

    def closure() -> torch.Tensor:
        loss = model(torch.ones(1, 2)).sum()
        loss.backward()
        callback()
        return loss

    optimizer.step(closure)
    (seen,) = found
    assert seen is not None and (seen.function, seen.inner) == ("closure", "callback")


def test_an_optimizer_of_one_s_own_is_the_update() -> None:
    """Its step is called by torch's wrapper, as a hook is."""
    model, optimizer = made(Own)
    optimizer.seen = found = Looks()
    stepping(model, optimizer.step)
    assert found == [None]


@pytest.mark.parametrize("called", [True, False])
def test_what_runs_outside_of_a_step_is_nothing(called: bool) -> None:
    """Between backward and update, in a function or not."""
    found = Looks()
    if called:
        stepping(nn.Linear(2, 2), lambda: look(found))
    else:
        look(found)
    assert found == [None]


PARTS = {
    "site-packages/trainers/evaluation.py": "evaluate(work): collect(work)\ndef collect(work): work()",
    "site-packages/trainers/steps.py": "_maybe_evaluate(work): evaluate(work)\ndef _save(work): work()",
    "site-packages/torch/nn/norm.py": "_no_grad_wrapper(work): clip(work)\ndef clip(work): work()",
}
LOOP = (
    "fit(asks, work):\n    loop(asks, work)\ndef loop(asks, work):\n    asks()\n    {called}(work)"
)
"""What a library's training loop is made of, and calls on its fifth line."""


CALLS = [
    ("evaluate", "evaluate", "collect"),
    ("_maybe_evaluate", "evaluate", "collect"),
    ("_save", "_save", ""),
    ("_no_grad_wrapper", "clip", ""),
]
"""What the loop calls, and what is named: nothing private that leads to a public name, nor a mere wrapper."""


class Library:
    """One whose loop calls a function of its own, or of torch's."""

    def __init__(self, called: str) -> None:
        self.names: dict[str, Any] = {}
        self.loop: tuple[CodeType, ...] = ()
        self.seen: list[Seen | None] = []
        loop = {"site-packages/trainers/trainer.py": LOOP.format(called=called)}
        for path, source in (PARTS | loop).items():
            exec(compile(f"def {source}\n", f"/env/lib/{path}", "exec"), self.names)

    def asks(self) -> None:
        self.loop = codes_of(sys._getframe().f_back)

    def sample(self) -> None:
        frame = sys._getframe().f_back
        assert frame is not None
        self.seen.append(seen_in_library(frame, self.loop))


@pytest.mark.parametrize(("called", "named", "inner"), CALLS)
def test_what_a_library_s_loop_calls_is_named(called: str, named: str, inner: str) -> None:
    """With the line that calls it, and the innermost function of a package but torch."""
    library = Library(called)
    library.names["fit"](library.asks, library.sample)
    (seen,) = library.seen
    assert seen is not None
    assert (seen.function, seen.inner) == (named, inner)
    where = [seen.path.endswith("trainers/trainer.py"), seen.line]
    assert where == ([True, 5] if called == named else [False, 1])


def test_a_loop_of_the_user_s_own_is_told_by_its_lines() -> None:
    """Whatever of a library it calls; nor is anything told before a loop was seen."""
    library = Library("evaluate")
    for begin in (True, False):
        if begin:
            library.asks()
        library.names["evaluate"](library.sample)
        library.loop = ()
    assert library.seen == [None, None]
