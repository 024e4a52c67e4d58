"""What ranks wait for each other: collectives that the script calls, and DistributedDataParallel's own.

A call of `torch.distributed` that blocks is timed where it is made. One that is not told to block
(`async_op=True`) is not, for its wait is in C++; nor is one under NCCL, which the host only launches: that it
was called is told.

DistributedDataParallel reduces gradients in C++ inside of the backward. Its reducer times itself in the first
ten iterations and in every hundredth from then on (torch/csrc/distributed/c10d/logger.cpp), on the device's
clock where there is one; that is read, and how often it does so is left as it is. Before a forward it has
rank 0's buffers (of batch normalisation) sent to all: they wait for those as in a call of the script's.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch.compiler import is_compiling

from perfkit.training.attach.folder import ProcessFolder

if TYPE_CHECKING:
    from perfkit.training.attach.session import Session

BLOCKING_BACKENDS = ("gloo", "mpi")
"""Under these a call returns when its result is there."""
CALLS = (
    "all_gather", "all_gather_into_tensor", "all_gather_object", "all_reduce", "all_to_all",
    "all_to_all_single", "barrier", "broadcast", "broadcast_object_list", "gather", "gather_object",
    "monitored_barrier", "reduce", "reduce_scatter", "reduce_scatter_tensor", "scatter",
    "scatter_object_list",
)  # fmt: skip
READ_FIRST, READ_EVERY = 12, 20
"""Steps after which reducers are read: the first ones, then each of these; it takes up to 60 µs."""
SEARCHED_AT = 10
"""Iterations after which a model that has used all of its parameters is taken to go on doing so."""
_models: list[weakref.ref[Any]] = []
_launching: set[str] = set()  # backends of calls that only launch


def install(session: Callable[[], Session | None]) -> None:
    """Put the hooks into `torch.distributed`, where there is one.

    Args:
        session: returns the recording of this process.
    """
    if not torch.distributed.is_available():
        return
    from torch.nn.parallel import DistributedDataParallel

    for name in CALLS:
        call = getattr(torch.distributed, name, None)
        if call is not None:
            setattr(torch.distributed, name, _call_hook(call, session))
    made = DistributedDataParallel.__init__
    DistributedDataParallel.__init__ = _init_hook(made)  # type: ignore[method-assign]
    if (sync := getattr(DistributedDataParallel, "_sync_buffers", None)) is not None:
        hook = _call_hook(sync, session)
        DistributedDataParallel._sync_buffers = hook  # type: ignore[method-assign]


def _call_hook(call: Any, session: Callable[[], Session | None]) -> Any:
    @functools.wraps(call)
    def collective(*args: Any, **kwargs: Any) -> Any:
        # a graph that is compiled knows the function by its identity
        if is_compiling():
            return call(*args, **kwargs)
        recording = session()
        if recording is None or recording.off or threading.get_ident() != recording.thread:
            return call(*args, **kwargs)
        steps = recording.steps
        if steps is None or not _blocks(args, kwargs):
            return call(*args, **kwargs)
        # the sampler of stacks has nothing to explain here
        unexplained, computing = steps.unexplained, steps.computing
        steps.unexplained = steps.computing = False
        steps.recorder.before_collective()
        try:
            return call(*args, **kwargs)
        finally:
            steps.recorder.after_collective()
            steps.unexplained, steps.computing = unexplained, computing

    return collective


def _blocks(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call returns when its result is there."""
    if kwargs.get("async_op") or any(one is True for one in args):
        return False
    # a model's own group, where it is the model that calls
    group = kwargs.get("group") or getattr(args[0] if args else None, "process_group", None)
    with contextlib.suppress(Exception):
        backend = torch.distributed.get_backend(group)
        if backend in BLOCKING_BACKENDS:
            return True
        _launching.add(backend)
    return False


def _init_hook(made: Any) -> Any:
    @functools.wraps(made)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        _models.append(weakref.ref(self))

    return __init__


class ReducerTimes:
    """What the reducers of this process have told of themselves so far, and what was only launched."""

    def __init__(self) -> None:
        self._read_at = 0
        self._written: dict[int, int] = {}
        self._looked_for: set[int] = set()
        self._launching: set[str] = set()

    def look(self, folder: ProcessFolder, steps: int) -> None:
        """Tell what is new after so many steps, and of backends whose calls only launch."""
        if len(_launching) > len(self._launching):
            for backend in _launching - self._launching:
                folder.event("launched_collectives", backend=backend)
            self._launching |= _launching
        if not _models or steps == self._read_at:
            return
        if steps <= READ_FIRST or steps // READ_EVERY > self._read_at // READ_EVERY:
            self._read_at = steps
            for number, model in enumerate(_models):
                self._write(folder, number, model())

    def _write(self, folder: ProcessFolder, number: int, model: Any) -> None:
        try:
            told = model._get_ddp_logging_data()
            iteration, comm_ns = int(told["iteration"]), int(told["backward_comm_time"])
            exposed_ns = comm_ns - int(told["backward_compute_comm_overlap_time"])
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError):
            return
        if number not in self._looked_for and iteration >= SEARCHED_AT:
            self._looked_for.add(number)
            if told.get("find_unused_parameters") and not told.get("unused_parameter_size"):
                text = (
                    "DistributedDataParallel looks for parameters that a forward does not use, in each step,"
                    " and there are none"
                )
                folder.event(
                    "fact", code="no_unused_parameters", value={"model": number}, text=text
                )
        if comm_ns > 0 and self._written.get(number) != iteration:
            self._written[number] = iteration
            exposed_s = max(0, exposed_ns) * 1e-9
            folder.event("reducer", model=number, iteration=iteration, exposed_s=exposed_s)
