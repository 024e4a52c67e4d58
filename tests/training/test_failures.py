"""Which row status an exception means."""

from __future__ import annotations

import errno

import pytest
import torch

from perfkit.errors import UsageError
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
