"""Which row status an exception in a training process means.

A loader worker that is killed can surface as almost anything. Torch looks for dead workers in a handler
of SIGCHLD, which raises "DataLoader worker (pid 7) is killed by signal: …" from whatever line the main
thread is at: in a write of ours, in a `finally`, inside somebody's `except`, which makes something else of
it. `DataLoader._try_get_data` finds them too ("… exited unexpectedly"), unless the kernel has closed the
worker's sockets and not yet told that it is dead. Then it passes on what reading from one gave: EOFError,
ConnectionResetError, ConnectionRefusedError, BrokenPipeError or FileNotFoundError for its socket,
"received 0 items of ancdata", "unable to open shared memory object", half a pickle; and where a thread pins
memory, that thread has died of it: "Pin memory thread exited unexpectedly". So the whole chain is asked, and
then the workers themselves.
"""

from __future__ import annotations

import contextlib
import gc
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any

from perfkit.document import Status
from perfkit.errors import NO_SPACE, PerfkitError
from perfkit.runfolder import chain, out_of_space

_OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc",
)  # fmt: skip
_COMPILERS = ("torch._dynamo", "torch._inductor", "torch._functorch", "triton")
_BROKEN_LINE = (EOFError, ConnectionError, FileNotFoundError, pickle.UnpicklingError)
_LINES = ("multiprocessing", "torch.multiprocessing")
"""Whose lines read from a worker: whatever they raise may be its death."""
_BROKEN_LINE_TEXTS = (
    "pin memory thread exited", "items of ancdata", "shared memory", "bad file descriptor",
    "bad message length", "got end of file", "dataloader timed out",
)  # fmt: skip
_PATIENCE_S = 5.0
"""How long a worker whose line broke is given to be seen dead: milliseconds, unless the cores are full."""


class BadLoss(Exception):
    """The loss is not finite, or has left every bound."""


class CannotRun(Exception):
    """The device cannot run what was asked; says why."""


def classify(error: BaseException) -> tuple[Status, str]:
    """Return the row's status and one line of message.

    The type decides where it can; where torch raises a bare RuntimeError its text has to.
    """
    text = _text(error)
    causes = chain(error)
    if isinstance(error, CannotRun):
        return "unsupported", text
    if isinstance(error, BadLoss):
        return "nan_loss", text
    if out_of_space(error):
        return "error", f"{NO_SPACE}: {_first_line(text)}"
    lost = _lost_worker(causes)
    if lost is not None:
        return "killed", f"a loader worker died: {lost}"
    if isinstance(error, PerfkitError):
        return "error", text if error.hint is None else f"{text} ({error.hint})"
    if any(isinstance(e, MemoryError) or type(e).__name__ == "OutOfMemoryError" for e in causes):
        return "oom", _first_line(text) or "out of memory"
    if any(phrase in text.lower() for phrase in _OUT_OF_MEMORY):
        return "oom", _first_line(text)
    if any(type(e).__module__.startswith(_COMPILERS) for e in causes):
        return "compile_failed", f"{type(error).__name__}: {_first_line(text)}"
    named = f"{type(error).__name__}: "
    # what a worker passed on names its type already
    return "error", named + _meaning(text).removeprefix(named)


def lost_workers() -> list[str]:
    """Say of every loader worker of this process how it ended, if its loader still wanted it."""
    kind = getattr(
        sys.modules.get("torch.utils.data.dataloader"), "_MultiProcessingDataLoaderIter", None
    )
    if kind is None:
        return []
    found = []
    # whoever holds the iterators, an evaluation of a stranger's included; asked once, after a failure
    for one in [o for o in gc.get_objects() if type(o) is kind]:
        if getattr(one, "_shutdown", False):
            continue
        for worker in getattr(one, "_workers", ()):
            with contextlib.suppress(ValueError, AssertionError):
                if worker.exitcode:
                    found.append(f"pid {worker.pid} {_how(worker.exitcode)}")
    return found


def _lost_worker(causes: Sequence[BaseException]) -> str | None:
    """One line on the loader worker whose death is behind an error; None where none is."""
    for error in causes:
        text = _text(error)
        lowered = text.lower()
        if "dataloader worker" in lowered and (
            "killed by signal" in lowered or "exited unexpectedly" in lowered
        ):
            return _first_line(text)
    patience_s = _PATIENCE_S if any(map(_is_broken_line, causes)) else 0.0
    deadline = time.monotonic() + patience_s
    while not (found := lost_workers()):
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.05)
    return f"{', '.join(found)}; {type(causes[0]).__name__}: {_first_line(_text(causes[0]))}"


def _is_broken_line(error: BaseException) -> bool:
    if isinstance(error, _BROKEN_LINE):
        return True
    lowered = _text(error).lower()
    return any(part in lowered for part in _BROKEN_LINE_TEXTS) or any(
        frame.f_globals.get("__name__", "").startswith(_LINES)
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def _how(code: int) -> str:
    if code > 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"was killed by signal {-code}"


def _text(error: Any) -> str:
    try:
        return str(error)
    except Exception:
        # a stranger's error that cannot be shown is still an error
        return ""


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0][:300]


def _meaning(text: str) -> str:
    """Of an exception that a worker passed on, whose first line only says so, the last line."""
    lines = [line for line in text.strip().split("\n") if line.strip()]
    if not lines:
        return "(no message)"
    return (lines[-1] if lines[0].startswith("Caught ") else lines[0]).strip()[:300]
