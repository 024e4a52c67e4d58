"""What goes between the hooks and `Steps`: how a pass stands, which batch is made, and who is told."""

from __future__ import annotations

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

    def fetched(self, now_ns: int) -> None:
        """A batch is asked for, or a step without a loader begins to compute."""


def queue_of(asking: Pass) -> tuple[int, int, bool]:
    """Return how a pass stands: depth and readiness (`Recorder.before_next`), whether gradients are on."""
    return asking.depth(), asking.ready(), is_grad_enabled()
