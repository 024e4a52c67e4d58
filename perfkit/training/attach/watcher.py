"""What goes between the hooks and `Steps`: how a pass stands, which batch is made, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from torch import is_grad_enabled

from perfkit.training.attach.loaders import Pass

Making = Literal["first", "later"]
"""A batch that the loop makes for itself: the first one of a pass, or one after it."""
FIRST: Making = "first"
LATER: Making = "later"


class Watcher(Protocol):
    """Who is told what the steps show."""

    def trains(self) -> None:
        """The first backward on a loader's batch, or the first update: this process trains."""

    def updated(self, optimizer: Any) -> None:
        """An update has been made."""

    def pass_over(self, over: Pass, *, exhausted: bool) -> None:
        """A pass will fetch no more."""

    def fetched(self, now_ns: int, steps: int = 1) -> None:
        """A batch is asked for, or a step without a loader begins to compute.

        Args:
            steps: told of at once; `now_ns` is when the first one began.
        """


class Calls(Protocol):
    """Gets what the hooks see on the thread that trains."""

    def happened(self, what: Callable[..., None], *args: Any) -> None:
        """Something has happened: a method of `Steps`."""

    def backward_begins(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A backward begins, with what it was called with."""

    def backward_ends(self) -> None:
        """It has returned, or raised."""

    def update_begins(self, optimizer: Any) -> None:
        """`optimizer.step` begins."""

    def update_ends(self, optimizer: Any) -> None:
        """It has returned."""


def queue_of(asking: Pass) -> tuple[int, int, bool]:
    """Return how a pass stands: depth and readiness (`Recorder.before_next`), whether gradients are on."""
    return asking.depth(), asking.ready(), is_grad_enabled()
