"""The DataLoaders of a script: what each is, and the line that iterates over it."""

from __future__ import annotations

import os
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from perfkit.records import UNKNOWN
from perfkit.training.probe.frames import OURS, is_users, line_of, place

_MOST_FRAMES = 200
_MOST_CODE = 200  # code objects looked at for one dataset
_ASKS_WHICH_WORKER = {"get_worker_info", "worker_info", "_worker_info", "split_dataset_by_node"}


def caller() -> str:
    """Return where the user's own code called, directly or not; `?` where it cannot be told."""
    frame = sys._getframe(1)
    first = None
    for _ in range(_MOST_FRAMES):
        path = frame.f_code.co_filename
        if is_users(path):
            return place(path, line_of(frame))
        if first is None and not path.startswith(OURS) and f"{os.sep}torch{os.sep}" not in path:
            first = place(path, line_of(frame))
        if frame.f_back is None:
            break
        frame = frame.f_back
    return first or "?"


class Loader:
    """What is known of one place where a DataLoader is iterated over."""

    def __init__(self, number: int, loader: Any) -> None:
        self.number = number
        self.trains = False
        """A backward or an update followed one of its batches."""
        self.companions: set[int] = set()
        """Loaders whose batches are a part of this one's steps."""
        self.objects = 0
        """DataLoaders that it was so far: where one is made anew for each epoch, as many as passes."""
        self.untold: dict[str, Any] | None = None
        """What its event will say; None once it is written."""
        self._batch_size = _batch_size(loader)
        self._samples = _samples(loader)

    def samples_of(self, batch: int) -> int:
        """Return the samples in batch number `batch` of a pass; -1 unknown."""
        size, samples = self._batch_size, self._samples
        if size is None or samples is None:
            return UNKNOWN
        return min(size, samples - batch * size) if batch * size < samples else UNKNOWN


class Pass:
    """One iteration over a loader.

    Args:
        number: in the order of `iter(loader)` in the process.
        depth, ready: what tells the state of its queue; see `perfkit.training.probe.loader`.
    """

    __slots__ = (
        "backwards", "companion", "depth", "fetched", "gone_ns", "gradients", "joined_ns", "loader",
        "number", "over", "ready", "updates",
    )  # fmt: skip

    def __init__(
        self, number: int, loader: Loader, depth: Callable[[], int], ready: Callable[[], int]
    ) -> None:
        self.number = number
        self.loader = loader
        self.depth = depth
        self.ready = ready
        self.fetched = 0
        self.backwards = 0
        self.updates = 0
        self.companion: Pass | None = None
        self.joined_ns = 0  # that its parts of other passes' steps were waited for
        self.gone_ns = 0
        self.gradients = True  # they were on when it last fetched
        self.over = False


class Loaders:
    """Every loader of a process; one made anew at the same line, from the like, is the same."""

    def __init__(self) -> None:
        self._by_place: dict[tuple[Any, ...], Loader] = {}
        self._by_id: dict[int, tuple[weakref.ref[Any], Loader]] = {}

    def find(self, loader: Any, describe: Callable[[Any], dict[str, Any]]) -> Loader:
        """Return the entry of what is iterated over, with its description if it is new."""
        known = self._by_id.get(id(loader))
        if known is not None and known[0]() is loader:
            return known[1]
        described = describe(loader)
        key = tuple(str(value) for value in described.values())
        entry = self._by_place.get(key)
        if entry is None:
            entry = self._by_place[key] = Loader(len(self._by_place), loader)
            entry.untold = {"loader": entry.number, **described}
        entry.objects += 1
        self._by_id[id(loader)] = (weakref.ref(loader), entry)
        return entry


def describe(loader: Any) -> dict[str, Any]:
    """Describe a DataLoader that is being iterated over, as its event says it."""
    workers = getattr(loader, "num_workers", 0)
    context = getattr(loader, "multiprocessing_context", None)
    dataset = getattr(loader, "dataset", None)
    iterable = _is_iterable(loader)
    return {
        "where": caller(),
        "num_workers": workers,
        "batch_size": _batch_size(loader),
        "prefetch_factor": getattr(loader, "prefetch_factor", None),
        "persistent_workers": bool(getattr(loader, "persistent_workers", False)),
        "pin_memory": bool(getattr(loader, "pin_memory", False)),
        "drop_last": bool(getattr(loader, "drop_last", False)),
        "start_method": _start_method(context) if workers else None,
        "dataset": type(dataset).__name__,
        "samples": None if iterable else _length(dataset),
        "batches": None if iterable or _samples(loader) is None else _length(loader),
        "iterable": iterable,
        "sharded": _sharded(loader, dataset) if iterable and workers > 1 else None,
    }


def _batch_size(loader: Any) -> int | None:
    size = getattr(loader, "batch_size", None)
    if size is None:
        size = getattr(getattr(loader, "batch_sampler", None), "batch_size", None)
    return size if isinstance(size, int) else None


def _samples(loader: Any) -> int | None:
    """Return how many samples a pass has; None where batches are not cut from a sampler in the plain way."""
    batches = getattr(loader, "batch_sampler", None)
    sampler = getattr(batches, "sampler", None)
    if _is_iterable(loader) or type(batches).__name__ != "BatchSampler":
        return None
    # a length of the script's own may draw random numbers, or print
    return None if is_users(_file_of(type(sampler))) else _length(sampler)


def _is_iterable(loader: Any) -> bool:
    kinds = getattr(sys.modules.get("torch.utils.data.dataloader"), "_DatasetKind", None)
    return kinds is not None and getattr(loader, "_dataset_kind", None) == kinds.Iterable


def _length(thing: Any) -> int | None:
    try:
        return len(thing)
    except Exception:
        return None


def _start_method(context: Any) -> str | None:
    import multiprocessing

    method = context if isinstance(context, str) else getattr(context, "get_start_method", None)
    if callable(method):
        method = method()
    return method or multiprocessing.get_start_method(allow_none=True)


def _sharded(loader: Any, dataset: Any) -> bool | None:
    """Whether a stream is split between the workers: its code, or its worker_init_fn's, asks which one it is.

    None where that is a library's affair, or too much code to read. Nothing is run.
    """
    if getattr(loader, "worker_init_fn", None) is not None:
        return None
    own = [kind for kind in type(dataset).__mro__ if is_users(_file_of(kind))]
    if not own or not is_users(_file_of(type(dataset))):
        return None
    seen: set[types.CodeType] = set()
    waiting = [code for kind in own for code in _codes_of(kind)]
    while waiting:
        code, names = waiting.pop()
        if code in seen:
            continue
        if len(seen) >= _MOST_CODE:
            return None
        seen.add(code)
        if _ASKS_WHICH_WORKER & {*code.co_names, *code.co_varnames}:
            return True
        waiting += [(const, names) for const in code.co_consts if isinstance(const, types.CodeType)]
        for name in code.co_names:
            waiting += _codes_of(names.get(name))
    return False


def _codes_of(thing: Any) -> Iterator[tuple[types.CodeType, dict[str, Any]]]:
    """Yield the code of a function, or of a class's methods, if it is the user's own."""
    members = list(vars(thing).values()) if isinstance(thing, type) else [thing]
    for member in members:
        function = getattr(member, "__func__", member)
        if isinstance(function, types.FunctionType) and is_users(function.__code__.co_filename):
            yield function.__code__, function.__globals__


def _file_of(kind: type) -> str:
    return getattr(sys.modules.get(kind.__module__), "__file__", None) or "<unknown>"
