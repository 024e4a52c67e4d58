"""What libraries lead to: the making of a batch, hooks in an update, the parts of a library's loop."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from types import CodeType, FrameType

from perfkit.training.probe.frames import (
    OURS,
    WRAPPERS,
    Seen,
    call_of,
    has_name,
    is_packages,
    is_users,
)

_DATA = os.path.join("torch", "utils", "data", "")
"""Torch's own code for data sets and loaders, within a path."""
_LOADER = (os.path.join(_DATA, "_utils", "fetch.py"), os.path.join(_DATA, "dataloader.py"))
"""Ends of the files in which a loader calls its data set, its collator and its sampler."""
_UPDATE = os.path.join("torch", "optim", "optimizer.py")
"""End of the file in which torch calls the step of any optimizer, and the hooks of that."""
_TORCH = f"{os.sep}torch{os.sep}"
"""Within a path of torch's own."""


def seen_fetching(frame: FrameType) -> Seen | None:
    """Return the function of a library that a batch is made in; None where none is made, or by none.

    The outermost one that a loader calls and that is not torch's, such as a data set's `__getitem__`, and the
    innermost of an installed package that it led to.

    Args:
        frame: the innermost one; the user's own code does not run in the making of the batch.
    """
    installed = _led_to(frame, _LOADER, is_packages)
    if not installed:
        return None
    foreign = [one for one in installed if _DATA not in one.f_code.co_filename]
    called, innermost = (foreign or installed)[-1], installed[0]
    return call_of(called, innermost)


def seen_updating(frame: FrameType) -> Seen | None:
    """Return the function of the user's own that `optimizer.step` has called; None where it runs none.

    A hook, or a callback in a closure. The `step` of an optimizer of the user's own is the update.

    Args:
        frame: the innermost one.
    """
    called = _led_to(frame, _UPDATE, is_users)
    if not called or called[-1].f_code.co_name == "step":
        return None
    return call_of(called[-1], called[0])


def _led_to(
    frame: FrameType, files: str | tuple[str, ...], wanted: Callable[[str], bool]
) -> list[FrameType]:
    """Return the frames that code of some files has led to, the innermost first; none where it does not run.

    Args:
        frame: the innermost one.
        files: ends of their names.
        wanted: whether frames of a file are meant.
    """
    found: list[FrameType] = []
    back: FrameType | None = frame
    while back is not None and not back.f_code.co_filename.endswith(files):
        if has_name(back) and wanted(back.f_code.co_filename):
            found.append(back)
        back = back.f_back
    return found if back is not None else []


def codes_of(frame: FrameType | None) -> tuple[CodeType, ...]:
    """Return the code of all that runs but ours, the outermost first."""
    return tuple(one.f_code for one in _running(frame))


def seen_in_library(frame: FrameType, loop: Sequence[CodeType]) -> Seen | None:
    """Return the function that a library's training loop calls; None where the loop is the user's own.

    The first one that has a public name, if any has, with the innermost of an installed package that it led
    to, torch's own left out.

    Args:
        frame: the innermost one.
        loop: what was running (`codes_of`) when a batch was asked for.
    """
    running = _running(frame)
    common = 0
    while common < min(len(running), len(loop)) and running[common].f_code is loop[common]:
        common += 1
    below = [one for one in running[common:] if has_name(one) and not _wraps(one)]
    if not (common and below) or is_users(running[common - 1].f_code.co_filename):
        return None
    packages = [one for one in below if is_packages(one.f_code.co_filename)]
    foreign = [one for one in packages if _TORCH not in one.f_code.co_filename]
    public = [one for one in foreign if not one.f_code.co_name.startswith("_")]
    called = (public or below)[0]
    return call_of(called, (foreign or [called])[-1], running[running.index(called) - 1])


def _running(frame: FrameType | None) -> list[FrameType]:
    found = []
    while frame is not None:
        if not frame.f_code.co_filename.startswith(OURS):
            found.append(frame)
        frame = frame.f_back
    return found[::-1]


def _wraps(frame: FrameType) -> bool:
    path, name = frame.f_code.co_filename, frame.f_code.co_name
    return path.endswith(WRAPPERS) or name.endswith(("wrapper", "wrapped"))
