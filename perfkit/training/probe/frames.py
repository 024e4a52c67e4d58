"""Frames of the user's own code, or of what makes their batches: which function is called, and where."""

from __future__ import annotations

import functools
import os
import site
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

import perfkit

OURS = str(Path(perfkit.__file__).parent) + os.sep
"""Where the code of perfkit lies."""
WRAPPERS = ("contextlib.py", "functools.py")
"""Ends of files whose frames lie between a decorated function and its caller."""
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
"""Where packages are installed, within a path; Python's own library is not there."""
_MODULES = os.path.join("torch", "nn", "modules", "")
"""Where torch calls networks and layers, within a path."""
_WORKLOADS = os.path.join(OURS, "training", "workloads", "")
"""Where the data sets of perfkit lie."""


def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found.update(getattr(site, "getsitepackages", list)())
    return tuple(sorted({os.path.realpath(path) + os.sep for path in found if path}))


_LIBRARIES = _library_folders()
_STDLIB = os.path.realpath(sysconfig.get_paths()["stdlib"]) + os.sep
_HANDING_OVER = ("queue.py", "threading.py", "selectors.py", "multiprocessing")
"""Files and folders of Python's own library in which a thread waits for another thread or process."""


@functools.cache
def is_users(path: str) -> bool:
    """Whether a code object's file is the user's own: no library's, not ours, not made up."""
    if path.startswith("<") or path.startswith(OURS):
        return False
    if any(marker in path for marker in _INSTALLED):
        return False
    return not os.path.realpath(path).startswith(_LIBRARIES)


def line_of(frame: FrameType) -> int:
    """Return the line that a frame is at; in code that belongs to none, as a loop's end, its first."""
    return frame.f_lineno or frame.f_code.co_firstlineno


def place(path: str, line: int) -> str:
    """Return `file:line`, relative to the working directory, or to where a package is installed."""
    full = os.path.abspath(path)
    if full.startswith(OURS):
        return f"{os.path.relpath(full, Path(OURS).parent)}:{line}"
    for marker in _INSTALLED:
        _, marked, within = full.rpartition(marker)
        if marked:
            return f"{within}:{line}"
    try:
        below = os.path.relpath(full)
    except (ValueError, OSError):  # another drive, or the directory is gone
        return f"{full}:{line}"
    return f"{full if below.startswith(os.pardir) else below}:{line}"


class Seen(NamedTuple):
    """What a sample of the stack showed."""

    path: str
    line: int
    """Where the loop calls the function."""
    function: str
    inner: str
    """The innermost function of the user's own; empty where that is the same."""
    inner_path: str
    inner_line: int
    called: bool = True
    """Whether the loop calls it; else it is the loop's own line, which runs no further code of the user's."""
    in_network: bool = False
    """Whether the innermost one has called a network or a layer."""
    waits_in: str = ""
    """What of Python's own library it waits in for another thread or process: `get`, `join`; or empty."""

    def told(self) -> dict[str, str | bool]:
        """Return it as an event says it."""
        where = place(self.path, self.line) if self.path else self.function
        found: dict[str, str | bool] = {"function": self.function, "where": where}
        if self.inner:
            found |= {"inner": self.inner, "inner_where": place(self.inner_path, self.inner_line)}
        if self.waits_in:
            found["waits_in"] = self.waits_in
        return found | ({"in_network": True} if self.in_network else {})


def users_codes(frame: FrameType | None) -> tuple[CodeType, ...]:
    """Return the code of the user's own functions that run, the outermost first."""
    return tuple(one.f_code for one in _users(frame))


def users_line(frame: FrameType | None) -> int:
    """Return the line of the user's own code that runs, the innermost; 0 where there is none."""
    users = _users(frame)
    return line_of(users[-1]) if users else 0


def seen_in(frame: FrameType, loop: Sequence[CodeType]) -> Seen:
    """Return the function that the training loop calls, or the loop's own line where it calls none.

    What a sample has in common with a call that the loop made is the loop; the next function is what it
    calls. Comprehensions and lambdas are part of what they stand in.

    Args:
        frame: the innermost one.
        loop: the user's own code that was running when a batch was asked for, the outermost first.
    """
    users = _users(frame)
    if not users:
        return Seen(
            frame.f_code.co_filename, line_of(frame), frame.f_code.co_name, "", "", 0, False
        )
    common = 0
    while common < min(len(users), len(loop)) and users[common].f_code is loop[common]:
        common += 1
    below = [one for one in users[common:] if has_name(one)]
    if not below:
        own = next((one for one in reversed(users[:common]) if has_name(one)), users[0])
        return Seen(own.f_code.co_filename, line_of(own), own.f_code.co_name, "", "", 0, False)
    called = below[0]
    by_loop = common and _caller(called) is users[common - 1]
    return call_of(called, below[-1], users[common - 1] if by_loop else None)


def in_network(frame: FrameType | None) -> bool:
    """Return whether the innermost of the user's own functions that run has called a module of `torch.nn`."""
    while frame is not None and not is_users(frame.f_code.co_filename):
        if _MODULES in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


def waits_in(frame: FrameType) -> str:
    """Return the function of Python's own library that waits for another thread or process; else nothing.

    The one that was called from outside it: `get` of a queue, which waits in a lock.

    Args:
        frame: the innermost one.
    """
    if not _hands_over(frame.f_code.co_filename):
        return ""
    called: FrameType = frame
    while called.f_back is not None and _is_stdlib_s(called.f_back.f_code.co_filename):
        called = called.f_back
    return called.f_code.co_name


@functools.cache
def _is_stdlib_s(path: str) -> bool:
    full = os.path.realpath(path)
    return full.startswith(_STDLIB) and not any(marker in full for marker in _INSTALLED)


@functools.cache
def _hands_over(path: str) -> bool:
    within = os.path.relpath(os.path.realpath(path), _STDLIB)
    return _is_stdlib_s(path) and within.split(os.sep)[0] in _HANDING_OVER


def _with_class(code: CodeType) -> str:
    name: str = code.co_name
    if not name.startswith("__"):
        return name
    owner = getattr(code, "co_qualname", name).rpartition(f".{name}")[0].rpartition(".")[2]
    return f"{owner}.{name}" if owner.isidentifier() else name


def call_of(called: FrameType, innermost: FrameType, where: FrameType | None = None) -> Seen:
    """Return what was seen in a call; special methods with their class, from Python 3.11 on.

    Args:
        where: the frame whose line calls it; its own where that is a library's.
    """
    at = called if where is None else where
    seen = Seen(at.f_code.co_filename, line_of(at), _with_class(called.f_code), "", "", 0)
    if innermost.f_code is called.f_code:
        return seen
    inner = innermost.f_code
    return seen._replace(
        inner=_with_class(inner), inner_path=inner.co_filename, inner_line=line_of(innermost)
    )


@functools.cache
def is_packages(path: str) -> bool:
    """Whether a file is an installed package's, or a data set of ours; what we wrap round both is neither."""
    if path.startswith(OURS):
        return path.startswith(_WORKLOADS)
    return any(marker in path for marker in _INSTALLED)


def _users(frame: FrameType | None) -> list[FrameType]:
    found = []
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            found.append(frame)
        frame = frame.f_back
    return found[::-1]


def has_name(frame: FrameType) -> bool:
    name = frame.f_code.co_name
    return name == "<module>" or not name.startswith("<")


def _caller(frame: FrameType) -> FrameType | None:
    """The frame that called it, through comprehensions and decorators."""
    back = frame.f_back
    while back is not None:
        path = back.f_code.co_filename
        if not (path.endswith(WRAPPERS) or (is_users(path) and not has_name(back))):
            break
        back = back.f_back
    return back
