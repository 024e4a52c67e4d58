"""Which row status an exception in a training process means."""

from __future__ import annotations

import errno

from perfkit.document import Status
from perfkit.errors import NO_SPACE, PerfkitError

_OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc",
)  # fmt: skip
_COMPILERS = ("torch._dynamo", "torch._inductor", "torch._functorch", "triton")


class BadLoss(Exception):
    """The loss is not finite, or has left every bound."""


class CannotRun(Exception):
    """The device cannot run what was asked; says why."""


def classify(error: BaseException) -> tuple[Status, str]:
    """Return the row's status and one line of message.

    The type decides where it can; where torch raises a bare RuntimeError its text has to.
    """
    text = str(error)
    lowered = text.lower()
    chain = _chain(error)
    if isinstance(error, CannotRun):
        return "unsupported", text
    if isinstance(error, BadLoss):
        return "nan_loss", text
    if isinstance(error, PerfkitError):
        return "error", text if error.hint is None else f"{text} ({error.hint})"
    if any(isinstance(e, MemoryError) or type(e).__name__ == "OutOfMemoryError" for e in chain):
        return "oom", _first_line(text) or "out of memory"
    if any(phrase in lowered for phrase in _OUT_OF_MEMORY):
        return "oom", _first_line(text)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "error", f"{NO_SPACE}: {text}"
    if any(type(e).__module__.startswith(_COMPILERS) for e in chain):
        return "compile_failed", f"{type(error).__name__}: {_first_line(text)}"
    if "dataloader worker" in lowered and ("killed by signal" in lowered or "exited" in lowered):
        return "killed", f"a loader worker died: {_first_line(text)}"
    named = f"{type(error).__name__}: "
    # what a worker passed on names its type already
    return "error", named + _meaning(text).removeprefix(named)


def _chain(error: BaseException) -> list[BaseException]:
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        current = current.__cause__ or current.__context__
    return seen


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0][:300]


def _meaning(text: str) -> str:
    """Of an exception that a worker passed on, whose first line only says so, the last line."""
    lines = [line for line in text.strip().split("\n") if line.strip()]
    if not lines:
        return "(no message)"
    return (lines[-1] if lines[0].startswith("Caught ") else lines[0]).strip()[:300]
