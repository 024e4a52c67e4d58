"""A pass over something that is no DataLoader: what `perfkit.watch` was given gives the batches.

Where its `next()` takes its batch from a DataLoader (`tqdm(loader)`, a generator over one), that loader's
pass is the one that counts, as it is without `watch`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from perfkit.records import UNKNOWN
from perfkit.training.attach import hooks
from perfkit.training.attach.loaders import Pass, describe
from perfkit.training.attach.passes import Steps
from perfkit.training.attach.session import Session

T = TypeVar("T")


class Watched(Generic[T]):
    """Batches of any kind, recorded whenever they are iterated over; all else is the original's.

    Args:
        batches: what is iterated over.
    """

    def __init__(self, batches: Iterable[T]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[T]:
        if hooks.on_iterator is not None:
            hooks.on_iterator(self)
        session = hooks.session()
        if session is None or session.off:
            return iter(self._batches)
        try:
            session.begin()
        except Exception as error:
            session.fail(error)
            return iter(self._batches)
        before = time.perf_counter_ns()
        batches = _Batches(iter(self._batches))
        iter_s = (time.perf_counter_ns() - before) * 1e-9
        try:
            setattr(batches, hooks.HANDLE, _Handle(session, self, iter_s))
        except Exception as error:
            session.fail(error)
        return batches

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        if name == "_batches" or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(name)
        return getattr(self._batches, name)


class _Batches(Generic[T]):
    """An iterator whose `next()` is recorded, as that of a DataLoader is."""

    def __init__(self, batches: Iterator[T]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[T]:
        return self

    @hooks.next_hook
    def __next__(self) -> T:
        return next(self._batches)


class _Handle(hooks.Handle):
    """A pass that is told with its first batch: by then it is known whether a DataLoader gave it."""

    __slots__ = ("_gives_way", "_iter_s", "_said")

    def __init__(self, session: Session, of: Watched[Any], iter_s: float) -> None:
        entry = session.entry(of, _description)
        super().__init__(session, Pass(session.number(), entry, _unknown, _unknown))
        self._iter_s = iter_s
        self._said = self._gives_way = False

    def asks(self) -> bool:
        if self._gives_way or not super().asks():
            return False
        self.session.fetching = self
        return True

    def give_way(self) -> None:
        """A DataLoader is asked for a batch meanwhile: its pass is the one."""
        self._gives_way = True
        self.session.fetching = None
        super().happened(Steps.failed)

    def happened(self, what: Any) -> None:
        if self._gives_way:
            return
        if self.session.fetching is self:
            self.session.fetching = None
        if not self._said:
            if what is Steps.left:
                return
            self._said = True
            self.session.describe_pass(self.of, self._iter_s)
        super().happened(what)


def _description(watched: Watched[Any]) -> dict[str, Any]:
    batches = watched._batches
    return {**describe(batches), "dataset": type(batches).__name__, "own": True}


def _unknown() -> int:
    return UNKNOWN
