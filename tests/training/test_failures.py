"""Which row status an exception means."""

from __future__ import annotations

import errno
import os
import pickle
from multiprocessing.connection import Client
from multiprocessing.context import AuthenticationError
from typing import Any

import pytest
import torch
from torch.utils.data import dataloader

from perfkit.errors import NO_SPACE, PerfkitError, UsageError
from perfkit.training import failures
from perfkit.training.failures import BadLoss, CannotRun, classify


class BackendCompilerFailed(RuntimeError):
    """Named and placed like torch's own, which no CPU here can be made to raise at will."""


BackendCompilerFailed.__module__ = "torch._dynamo.exc"


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "oom", "2 GiB"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), "oom", "9 bytes"),
        (RuntimeError("std::bad_alloc"), "oom", "bad_alloc"),
        (MemoryError(), "oom", "out of memory"),
        (BadLoss("the loss is nan after 3 steps"), "nan_loss", "nan"),
        (CannotRun("TF32 needs an NVIDIA GPU"), "unsupported", "NVIDIA"),
        (BackendCompilerFailed("inductor raised"), "compile_failed", "inductor"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."), "killed", "pid 7"),
        (OSError(errno.ENOSPC, "No space left on device"), "error", "no space left to record"),
        (UsageError("no such folder", hint="make it"), "error", "no such folder (make it)"),
        (ValueError("shapes differ\nmore"), "error", "ValueError: shapes differ"),
        (ValueError(), "error", "no message"),
    ],
)
def test_status_and_message(error: BaseException, status: str, says: str) -> None:
    """One line, which is the row's message."""
    found, message = classify(error)
    assert found == status
    assert says in message and "\n" not in message


def test_a_cause_is_found_behind_what_it_became() -> None:
    """An out-of-memory error that a library wrapped is still one."""
    try:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        except RuntimeError as inner:
            raise ValueError("training failed") from inner
    except ValueError as error:
        assert classify(error)[0] == "oom"


KILLED = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
GONE = RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly")
LEFT = RuntimeError(
    "DataLoader worker (pid 7) exited unexpectedly with exit code 1. Details are lost due to"
    " multiprocessing. Rerunning with num_workers=0 may give better error trace."
)


def caused(error: BaseException) -> BaseException:
    """Raised from it."""
    outer = ValueError("a bad batch")
    outer.__cause__ = error
    return outer


def handled(error: BaseException) -> BaseException:
    """Raised while it was handled, and its trace suppressed."""
    outer = OSError(errno.EIO, "cannot flush")
    outer.__context__, outer.__suppress_context__ = error, True
    return outer


def beside(error: BaseException) -> BaseException:
    """Raised from something else while it was handled."""
    outer = RuntimeError("training failed")
    outer.__cause__, outer.__context__ = KeyError("label"), error
    return outer


def told_to_users(error: BaseException) -> BaseException:
    """Taken for something the user did."""
    outer = UsageError("a batch should be (inputs, targets)")
    outer.__context__ = error
    return outer


@pytest.mark.parametrize("wrapped", [lambda e: e, caused, handled, beside, told_to_users])
@pytest.mark.parametrize("error", [KILLED, GONE, LEFT], ids=["killed", "gone", "left"])
def test_a_lost_worker_is_found_wherever_torch_raises_it(error: Any, wrapped: Any) -> None:
    """The handler raises from any line: whatever was made of it, the row was killed, and says by what."""
    status, message = classify(wrapped(wrapped(error)))
    assert status == "killed"
    assert "DataLoader worker (pid" in message and "\n" not in message


BROKEN_LINES = [
    ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
    BrokenPipeError(errno.EPIPE, "Broken pipe"),
    FileNotFoundError(errno.ENOENT, "No such file or directory"),
    EOFError(),
    AuthenticationError("digest sent was rejected"),
    pickle.UnpicklingError("pickle data was truncated"),
    OSError(errno.EBADF, "Bad file descriptor"),
    OSError("got end of file during message"),
    RuntimeError("received 0 items of ancdata"),
    RuntimeError("unable to open shared memory object </torch_7> in read-write mode: No such file"),
    RuntimeError("Pin memory thread exited unexpectedly"),
    RuntimeError("DataLoader timed out after 5 seconds"),
    ConnectionResetError(
        "Caught ConnectionResetError in pin memory thread for device 0.\nTraceback"
    ),
    ValueError("garbage that was unpickled all the same"),
]


class Worker:
    """A loader worker as its iterator knows it."""

    def __init__(self, *codes: int | None) -> None:
        self.pid = 7
        self._codes = list(codes)

    @property
    def exitcode(self) -> int | None:
        return self._codes.pop(0) if len(self._codes) > 1 else self._codes[0]


class Iterating:
    """An iterator of a DataLoader that is not at its end."""

    def __init__(self, *workers: Worker, shutdown: bool = False) -> None:
        self._workers = workers
        self._shutdown = shutdown


@pytest.fixture(autouse=True)
def iterating(monkeypatch: pytest.MonkeyPatch) -> type[Iterating]:
    """A class of the test's own: what another test made, and nobody has collected yet, is not looked at."""
    own = type("Iterating", (Iterating,), {})
    monkeypatch.setattr(dataloader, "_MultiProcessingDataLoaderIter", own)
    monkeypatch.setattr(failures, "_PATIENCE_S", 0.2)
    return own


@pytest.mark.parametrize("error", BROKEN_LINES, ids=lambda e: f"{type(e).__name__}-{e}"[:40])
def test_what_a_dead_worker_leaves_behind_is_no_error_of_the_training(
    error: Any, iterating: type[Iterating]
) -> None:
    """Whatever reading from it gave, the worker's own end decides."""
    iterator = iterating(Worker(None), Worker(-9))
    status, message = classify(error)
    assert (status, iterator._shutdown) == ("killed", False)
    assert "pid 7 was killed by SIGKILL" in message and type(error).__name__ in message


@pytest.mark.parametrize("error", BROKEN_LINES, ids=lambda e: f"{type(e).__name__}-{e}"[:40])
def test_without_a_dead_worker_it_is_what_it_says(error: Any, iterating: type[Iterating]) -> None:
    """Workers that live, ended as they should, or were ended with their loader, have lost nothing."""
    iterators = [
        iterating(Worker(None), Worker(0)),
        iterating(Worker(-15), shutdown=True),
    ]
    status, message = classify(error)
    assert (status, len(iterators)) == ("error", 2)
    assert message.startswith(type(error).__name__)


def test_a_worker_that_is_about_to_be_seen_dead_is_waited_for(
    iterating: type[Iterating], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sockets are closed a moment before the kernel tells of it."""
    # as long as it takes: looking for the iterators is slow in a process of many objects
    monkeypatch.setattr(failures, "_PATIENCE_S", 60.0)
    iterator = iterating(Worker(None, None, -7))
    assert classify(EOFError())[0] == "killed"
    assert iterator._workers


def test_whatever_reading_from_a_worker_raises_may_be_its_death(
    iterating: type[Iterating], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of no known kind, from a line of multiprocessing, has its worker waited for as well."""
    monkeypatch.setattr(failures, "_PATIENCE_S", 60.0)
    iterator = iterating(Worker(None, None, -7))
    with pytest.raises(TypeError) as caught:
        Client(3)  # type: ignore[arg-type]
    assert classify(caught.value)[0] == "killed"
    # the same without its lines is the training's own, and nobody waits
    again = iterating(Worker(None, None, -7))
    del iterator
    assert classify(TypeError(str(caught.value)))[0] == "error"
    assert again._workers


def test_a_worker_that_left_by_itself_is_told_as_such(iterating: type[Iterating]) -> None:
    """By its exit code; a real-time signal by its number."""
    iterator = iterating(Worker(3), Worker(-50))
    assert failures.lost_workers() == [
        "pid 7 exited with code 3",
        "pid 7 was killed by signal 50",
    ]
    assert iterator._workers


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_space_is_told_whoever_wrote(number: int) -> None:
    """As the system raises it, and as the error that files replaced whole make of it."""
    full = OSError(number, os.strerror(number))
    wrapped = PerfkitError("cannot write status.json", hint="free some space")
    wrapped.__cause__ = full
    for error in (full, wrapped, caused(wrapped)):
        assert classify(error)[0] == "error"
        assert classify(error)[1].startswith(NO_SPACE)


def test_a_real_full_device_says_so() -> None:
    """What the system raises where nothing can be written is such an error."""
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError) as caught, open("/dev/full", "wb", buffering=0) as full:
        full.write(b"x")
    assert classify(caught.value)[1].startswith(NO_SPACE)


def test_an_error_that_cannot_be_shown() -> None:
    """Its type is told."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert classify(Broken()) == ("error", "Broken: (no message)")
