"""How a line between the engine and a training process looks, on both its ends.

A reply is one JSON object on a line that begins with a mark no program prints by chance; every other
line on the same stream is somebody's output and no reply.
"""

from __future__ import annotations

import ctypes
import json
import signal
import sys
from typing import Any, Protocol

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_REPLY_MARK = b"\x1eperfkit "


class Send(Protocol):
    """Says an event, by its name and values of JSON types, to whoever asked."""

    def __call__(self, event: str, **values: Any) -> None: ...


def pack_reply(message: dict[str, Any]) -> bytes:
    """Return the line of one reply."""
    return _REPLY_MARK + json.dumps(message, allow_nan=False).encode() + b"\n"


def unpack_reply(line: bytes) -> dict[str, Any] | None:
    """Return the reply on a line; None when the line is something else."""
    if not line.startswith(_REPLY_MARK):
        return None
    try:
        message = json.loads(line[len(_REPLY_MARK) :])
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def die_with_parent() -> None:
    """Have the kernel end this process when the thread that started it ends; on Linux, else nothing."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
