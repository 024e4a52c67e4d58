"""Forward passes of loops without a loader: the outermost call of a module on the thread that trains.

Where a loader gives the batches, the forward begins with the batch. Without one it begins with nothing that
is seen, so that the making of a batch by hand would look like it. `Module.__call__` is replaced only once so
many steps had no loader: each call of a submodule takes 0.4 µs longer from then on.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import torch
from torch.compiler import is_compiling

from perfkit.training.attach.dynamo import skip_in_dynamo
from perfkit.training.attach.first import MOST_UPDATES

if TYPE_CHECKING:
    from perfkit.training.attach.session import Session

AFTER_STEPS = MOST_UPDATES
"""Steps without a loader from which on none is waited for."""
_get_ident = threading.get_ident
_is_grad_enabled = torch.is_grad_enabled


class _Outermost:
    """Whether a forward is told of, and to whom."""

    __slots__ = ("runs", "session")

    def __init__(self) -> None:
        self.runs = False
        self.session: Session | None = None

    def begins(self) -> bool:
        """A module is called; whether that is the forward of a step without a loader."""
        session = self.session
        if session is None or session.off or session.depth:
            return False
        if _get_ident() != session.thread or not _is_grad_enabled():
            return False
        try:
            steps = session.steps
            return steps is not None and steps.forward_begins()
        except Exception as error:
            session.fail(error)
            return False

    def ends(self) -> None:
        session = self.session
        if session is None or session.off or (steps := session.steps) is None:
            return
        try:
            steps.forward_ends()
        except Exception as error:
            session.fail(error)


_outermost = _Outermost()


def watch(session: Session) -> None:
    """From now on tell this recording of forwards.

    Args:
        session: its steps have no loader.
    """
    _outermost.session, _outermost.runs = session, False
    module: Any = torch.nn.Module
    if not hasattr(module.__call__, "__perfkit__"):
        module.__call__ = call_hook(module.__call__)


def call_hook(call: Any) -> Any:
    """Return `Module.__call__` that tells when the outermost one begins and ends."""
    outermost = _outermost

    @functools.wraps(call)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        # a graph that is compiled knows nothing of what follows
        if is_compiling() or outermost.runs or not outermost.begins():
            return call(self, *args, **kwargs)
        outermost.runs = True
        try:
            return call(self, *args, **kwargs)
        finally:
            outermost.runs = False
            outermost.ends()

    __call__.__perfkit__ = True  # type: ignore[attr-defined]
    skip_in_dynamo(__call__)
    return __call__
