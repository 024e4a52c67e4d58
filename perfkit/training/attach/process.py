"""What a process of the script can say of itself."""

from __future__ import annotations

import functools
import sys
from typing import Any

import torch


def at_end_of_child(end: Any, *, after: bool = False) -> None:
    """A process of multiprocessing leaves without `atexit`, but for its own finalizers."""
    from multiprocessing import util

    util.Finalize(None, functools.partial(end), exitpriority=-1 if after else 0)


def uncaught() -> BaseException | None:
    """Return the last exception that nobody caught, as Python keeps it."""
    error: BaseException | None = getattr(sys, "last_value", None)
    return error


def told(error: BaseException | None) -> str | None:
    """Return what ended the script in a line."""
    return None if error is None else f"{type(error).__name__}: {error}".split("\n")[0][:500]


def device() -> str:
    """Return the device that is computed with."""
    # asking a CUDA that nobody has begun to use would begin it
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return f"cuda:{torch.cuda.current_device()}"
    return "cpu"
