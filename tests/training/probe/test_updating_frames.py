"""Which function of the user's own runs inside of an optimizer's step."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from perfkit.training.probe.frames import Seen, seen_updating

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
