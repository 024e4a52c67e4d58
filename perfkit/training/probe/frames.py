"""Frames of the user's own code: which function is called, and where."""

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
_WRAPPERS = ("contextlib.py", "functools.py")
"""Ends of files whose frames lie between a decorated function and its caller."""


def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found.update(getattr(site, "getsitepackages", list)())
    return tuple(sorted({os.path.realpath(path) + os.sep for path in found if path}))


_LIBRARIES = _library_folders()


def is_users(path: str) -> bool:
    """Whether a code object's file is the user's own: no library's, not ours, not made up."""
    if path.startswith("<") or path.startswith(OURS):
        return False
    markers = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
    if any(marker in path for marker in markers):
        return False
    return not os.path.realpath(path).startswith(_LIBRARIES)


def line_of(frame: FrameType) -> int:
    """Return the line that a frame is at; in code that belongs to none, as a loop's end, its first."""
    return frame.f_lineno or frame.f_code.co_firstlineno


def place(path: str, line: int) -> str:
    """Return `file:line`, the file relative to the working directory if it lies below."""
    full = os.path.abspath(path)
    try:
        below = os.path.relpath(full)
    except (ValueError, OSError):  # another drive, or the directory is gone
        return f"{full}:{line}"
    return f"{full if below.startswith(os.pardir) else below}:{line}"


_is_users = functools.cache(is_users)


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

    def told(self) -> dict[str, str]:
        """Return it as an event says it."""
        where = place(self.path, self.line) if self.path else self.function
        found = {"function": self.function, "where": where}
        if self.inner:
            found |= {"inner": self.inner, "inner_where": place(self.inner_path, self.inner_line)}
        return found


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
    below = [one for one in users[common:] if _has_name(one)]
    if not below:
        own = next((one for one in reversed(users[:common]) if _has_name(one)), users[0])
        return Seen(own.f_code.co_filename, line_of(own), own.f_code.co_name, "", "", 0, False)
    called, innermost = below[0], below[-1]
    where = called
    if common and _caller(called) is users[common - 1]:
        where = users[common - 1]
    seen = Seen(where.f_code.co_filename, line_of(where), called.f_code.co_name, "", "", 0)
    if innermost.f_code is called.f_code:
        return seen
    inner = innermost.f_code
    return seen._replace(
        inner=inner.co_name, inner_path=inner.co_filename, inner_line=line_of(innermost)
    )


def _users(frame: FrameType | None) -> list[FrameType]:
    found = []
    while frame is not None:
        if _is_users(frame.f_code.co_filename):
            found.append(frame)
        frame = frame.f_back
    return found[::-1]


def _has_name(frame: FrameType) -> bool:
    name = frame.f_code.co_name
    return name == "<module>" or not name.startswith("<")


def _caller(frame: FrameType) -> FrameType | None:
    """The frame that called it, through comprehensions and decorators."""
    back = frame.f_back
    while back is not None:
        path = back.f_code.co_filename
        if not (path.endswith(_WRAPPERS) or (_is_users(path) and not _has_name(back))):
            break
        back = back.f_back
    return back
