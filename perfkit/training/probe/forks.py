"""What has to be told that it is in a forked child, whose parent goes on without it."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """Something whose buffers and files are the parent's."""

    def forked(self) -> None:
        """This is a forked child."""


_aware: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def watch_forks(thing: ForkAware) -> None:
    """From now on call `thing.forked()` in every forked child, as long as it lives."""
    _aware.add(thing)


def unwatch_forks(thing: ForkAware) -> None:
    """It is closed: a child need not be told."""
    _aware.discard(thing)


def _after_fork() -> None:
    for thing in list(_aware):
        thing.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
