"""`perfkit.watch` and `perfkit.phase`: a recording that a script, or a notebook, asks for itself.

It is the recording of `perfkit run`, in a folder of the same kind. What it says is said by `perfkit report`
in a process of its own: when the script ends, in a notebook after each cell that has trained. Each such cell
is a study. Torch is imported only by `watch`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from perfkit.training.attach.iterables import Watched

T = TypeVar("T")
_HOOKS = "perfkit.training.attach.hooks"


@overload
def watch(loader: DataLoader[T]) -> DataLoader[T]: ...
@overload
def watch(loader: Iterable[T]) -> Watched[T]: ...
def watch(loader: Any) -> Any:
    """Record what is trained with these batches, and say in the end what holds the training back.

    `for batch in perfkit.watch(loader): ...` is enough. The study lies in `.perfkit/<UTC>-run/`, and
    `perfkit report latest` tells at any time what is known so far. Under `perfkit run`, which records by
    itself, and in ranks other than 0 no recording is begun.

    Args:
        loader: a DataLoader, or anything else that gives batches.

    Returns:
        A DataLoader as it was; of anything else one that has the same batches, length and attributes.
        Nothing is raised: where recording is not possible a line on stderr says why.
    """
    try:
        from torch.utils.data import DataLoader

        from perfkit.training.attach import own
        from perfkit.training.attach.iterables import Watched

        watched = loader if isinstance(loader, (DataLoader, Watched)) else Watched(loader)
        own.begin(watched)
    except Exception as error:
        sys.stderr.write(f"perfkit: nothing is recorded: {type(error).__name__}: {error}\n")
        return loader
    return watched


class phase:
    """A part of a training loop under a name of the script's own: `with perfkit.phase("augment"): ...`.

    Its time is told by that name where it lies in no phase of a step (before a backward it is part of the
    forward). Phases inside each other count in both. Without a recording, and in other threads than the
    one that trains, it does nothing; an exception passes through.

    Args:
        name: what the report calls it.
    """

    __slots__ = ("_name", "_since_ns")

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._since_ns = time.perf_counter_ns()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        hooks: Any = sys.modules.get(_HOOKS)
        session = None if hooks is None else hooks.session()
        if session is not None and threading.get_ident() == session.thread:
            session.phase(self._name, self._since_ns)
