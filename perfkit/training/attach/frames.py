"""Frames of the user's own code: which function a training loop calls, and where."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import CodeType, FrameType
from typing import Any, NamedTuple

from perfkit.training.attach.loaders import is_users, line_of

_is_users = functools.cache(is_users)
_WRAPPERS = ("contextlib.py", "functools.py")
"""Ends of files whose frames lie between a decorated function and its caller."""


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


def skip_in_dynamo(function: Any) -> None:
    """Have torch.compile not look into a function that it meets in a frame of its own."""
    try:
        from torch._C._dynamo import eval_frame

        strategy = eval_frame._FrameExecStrategy(
            eval_frame._FrameAction.SKIP, eval_frame._FrameAction.DEFAULT
        )
        eval_frame.set_code_exec_strategy(function.__code__, strategy)
    except (ImportError, AttributeError, TypeError):
        pass
