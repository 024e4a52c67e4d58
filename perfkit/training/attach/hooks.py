"""Where torch tells us what a script does: seven places, each a class, a module or an official hook.

Nothing is put on an instance of the script's, which deepcopy and `torch.save` would take along. Inside a
graph that is being compiled the hooks are not there.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.compiler import is_compiling
from torch.optim import optimizer as optimizer_module
from torch.utils.data import dataloader, get_worker_info

from perfkit.records import CHECKPOINT
from perfkit.training.attach import collectives
from perfkit.training.attach.dynamo import skip_in_dynamo
from perfkit.training.attach.loaders import Pass
from perfkit.training.attach.passes import Steps
from perfkit.training.attach.session import Session
from perfkit.training.probe import worker
from perfkit.training.probe.frames import OURS

_session: Session
on_iterator: Callable[[Any], None] | None = None
"""Told of every loader that is asked for an iterator, before that is recorded."""
_get_ident = threading.get_ident
_got = Steps.got
HANDLE = "_perfkit_handle"
MADE = "_perfkit_made"
"""What an iterator keeps that is no loader's `__iter__` of torch's: its loader, weakly, and when it was made,
until it is asked for its first batch."""


class Handle:
    """What an iterator over a DataLoader carries: its pass. An iterator can be neither copied nor pickled."""

    __slots__ = ("of", "session")

    def __init__(self, session: Session, of: Pass) -> None:
        self.session = session
        self.of = of

    def asks(self) -> bool:
        """The loop asks for a batch; whether that was recorded."""
        session = self.session
        if session.off or not (_get_ident() == session.thread or session.may_move(self.of)):
            return False
        try:
            if session.fetching is not None:
                session.fetching.give_way()
            session.asks(self.of)
        except Exception as error:
            session.fail(error)
            return False
        return True

    def must_stop(self) -> bool:
        session = self.session
        return not session.off and self.of.loader.trains and session.stop.due(session.trained)

    def happened(self, what: Any) -> None:
        """Tell what became of it by a method of `Steps`."""
        session = self.session
        if not session.off and _get_ident() == session.thread:
            session.calls.happened(what, self.of)
            if what is Steps.ended:
                session.catch_up()

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.happened(Steps.left)


def session() -> Session | None:
    """Return the recording of this process; None where the hooks are not in."""
    return globals().get("_session")


def renew() -> None:
    """Begin a new recording where the one before is over."""
    global _session
    _session = Session(_session.place, time.perf_counter_ns())


def install(home: str, place: Callable[[], Path], started_ns: int) -> None:
    """Put the hooks into torch, which has been imported.

    Args:
        home: folder that holds the package perfkit.
        place: returns the folder of the study, which it may make.
        started_ns: `perf_counter_ns` when the bootstrap ran.

    Raises:
        ImportError: another perfkit was found first.
    """
    if Path(OURS).parent.resolve() != Path(home).resolve():
        raise ImportError(f"the perfkit in {Path(OURS).parent} hides the one in {home}")
    global _session
    _session = Session(place, started_ns)
    dataloader.DataLoader.__iter__ = _iter_hook(dataloader.DataLoader.__iter__)  # type: ignore[method-assign]
    iterator: Any = dataloader._BaseDataLoaderIter
    iterator.__init__ = _made_hook(iterator.__init__)
    iterator.__next__ = next_hook(iterator.__next__)
    torch.autograd.backward = _backward_hook(torch.autograd.backward)
    torch.save = _save_hook(torch.save)
    collectives.install(session)
    optimizer_module.register_optimizer_step_pre_hook(_before_update)
    optimizer_module.register_optimizer_step_post_hook(_after_update)
    sys.excepthook = _without_our_frames(sys.excepthook)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forked)


def _forked() -> None:
    _session.forget()
    renew()


def _iter_hook(begin: Any) -> Any:
    @functools.wraps(begin)
    def __iter__(self: Any) -> Any:
        if on_iterator is not None:
            on_iterator(self)
        session = _session
        if session.off or get_worker_info() is not None:
            return begin(self)
        try:
            session.begin()
        except Exception as error:
            session.fail(error)
            return begin(self)
        before = time.perf_counter_ns()
        iterator = begin(self)
        iter_s = (time.perf_counter_ns() - before) * 1e-9
        try:
            if isinstance(iterator, dataloader._BaseDataLoaderIter):
                handle = Handle(session, session.passes(self, iterator, iter_s))
                setattr(iterator, HANDLE, handle)
                iterator.__dict__.pop(MADE, None)
        except Exception as error:
            session.fail(error)
        return iterator

    return __iter__


def _made_hook(make: Any) -> Any:
    """An iterator is made, by a loader whose `__iter__` may be its own: torchdata's StatefulDataLoader."""

    @functools.wraps(make)
    def __init__(self: Any, loader: Any, *args: Any, **kwargs: Any) -> None:
        session = _session
        if not session.off and get_worker_info() is None:
            try:
                session.begin()
                # before it starts its workers
                worker.cover(type(self).__module__)
                setattr(self, MADE, (weakref.ref(loader), time.perf_counter_ns()))
            except Exception as error:
                session.fail(error)
        make(self, loader, *args, **kwargs)

    return __init__


def _late_handle(iterator: Any) -> Handle | None:
    """Begin the pass of an iterator that is asked for a batch and did not come from `DataLoader.__iter__`."""
    session, made = _session, iterator.__dict__.get(MADE)
    if made is None or session.off or (loader := made[0]()) is None:
        return None
    try:
        # a new one has started its workers since it was made
        iter_s = (time.perf_counter_ns() - made[1]) * 1e-9 if made[1] else 0.0
        handle = Handle(session, session.passes(loader, iterator, iter_s))
        setattr(iterator, MADE, (made[0], 0))
        setattr(iterator, HANDLE, handle)
    except Exception as error:
        session.fail(error)
        return None
    return handle


def next_hook(fetch: Any) -> Any:
    @functools.wraps(fetch)
    def __next__(self: Any) -> Any:
        handle = self.__dict__.get(HANDLE)
        # one that was at its end and is asked again begins another pass
        if handle is None or handle.of.over:
            handle = _late_handle(self)
        if handle is None:
            return fetch(self)
        if handle.session.stop.asked and handle.must_stop():
            raise SystemExit(0)
        if not handle.asks():
            return fetch(self)
        try:
            batch = fetch(self)
        except StopIteration:
            handle.happened(Steps.ended)
            raise
        except BaseException:
            handle.happened(Steps.failed)
            raise
        handle.happened(_got)
        if handle.session.wants_batch:
            handle.session.looks_at(batch)
        return batch

    return __next__


def _backward_hook(run: Any) -> Any:
    @functools.wraps(run)
    def backward(*args: Any, **kwargs: Any) -> Any:
        if is_compiling():
            return run(*args, **kwargs)
        session = _session
        # reentrant checkpoints run backward inside backward, on a thread of autograd's even
        if (
            session.off
            or session.depth
            or not (_get_ident() == session.thread or session.may_move())
        ):
            return run(*args, **kwargs)
        session.depth = 1
        try:
            session.calls.backward_begins(args, kwargs)
            return run(*args, **kwargs)
        finally:
            session.depth = 0
            if _get_ident() == session.thread:
                session.calls.backward_ends()

    skip_in_dynamo(backward)
    return backward


def _before_update(optimizer: Any, args: Any, kwargs: Any) -> None:
    if is_compiling():
        return
    session = _session
    if not session.off and (_get_ident() == session.thread or session.may_move()):
        session.calls.update_begins(optimizer)


def _after_update(optimizer: Any, args: Any, kwargs: Any) -> None:
    if is_compiling():
        return
    session = _session
    if not session.off and _get_ident() == session.thread:
        session.calls.update_ends(optimizer)


def _save_hook(save: Any) -> Any:
    @functools.wraps(save)
    def saved(*args: Any, **kwargs: Any) -> Any:
        session = _session
        steps = None if session.off or _get_ident() != session.thread else session.steps
        if steps is None:
            return save(*args, **kwargs)
        recorder = steps.recorder
        recorder.enter(CHECKPOINT)
        try:
            return save(*args, **kwargs)
        finally:
            recorder.leave(CHECKPOINT)

    return saved


def _without_our_frames(report: Any) -> Any:
    """Take the hooks out of a traceback, so that an error is reported as it is without us."""

    @functools.wraps(report)
    def excepthook(kind: Any, error: Any, trace: Any) -> None:
        try:
            while trace is not None and trace.tb_frame.f_code.co_filename.startswith(OURS):
                trace = trace.tb_next
            step = trace
            while step is not None and step.tb_next is not None:
                if step.tb_next.tb_frame.f_code.co_filename.startswith(OURS):
                    step.tb_next = step.tb_next.tb_next
                else:
                    step = step.tb_next
            if error is not None:
                error.__traceback__ = trace
        finally:
            report(kind, error, trace)

    return excepthook
