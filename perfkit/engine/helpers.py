"""Short-lived children that answer one question: what machine is this, is the data there."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from perfkit.codec import to_json
from perfkit.config import RunConfig
from perfkit.engine.events import Event, Preparing
from perfkit.errors import PerfkitError, UsageError


def survey(device: str | None) -> dict[str, Any]:
    """Ask torch, in a process of its own, which device there is and what it can do.

    Args:
        device: as the user wrote it, or None for the best there is.

    Returns:
        `device` (a torch device name) and `environment`.

    Raises:
        UsageError: there is no such device.
        PerfkitError: torch cannot be imported, or the child died.
    """
    return _ask("perfkit.training.survey", {"device": device}, lambda message: None)


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is known of a workload's data before it is trained on."""

    path: str | None
    """Where it lies; None when nothing was made or checked."""
    num_samples: int | None
    """Length of a dataset whose length is its own; None where it is the configuration's."""


def prepare(config: RunConfig, emit: Callable[[Event], None], *, timeout_s: float) -> Data:
    """Make the data of a workload where it is not there yet.

    Args:
        timeout_s: how long building the workload may take. One that takes longer, or kills its process,
            is left to its row, which then says so.

    Raises:
        UsageError: the workload or its data cannot be had.
        PerfkitError: no space, no permission, or the child died.
    """
    built: dict[str, Any] = {}

    def tell(message: dict[str, Any]) -> float | None:
        if message.get("event") == "progress":
            emit(Preparing(message["done"], message["total"], message.get("path") or ""))
        if message.get("event") != "building":
            return None
        built.update(message)
        return timeout_s

    try:
        answer = _ask("perfkit.training.prepare", to_json(config), tell)
    except UsageError:
        raise
    except PerfkitError:
        if not built:
            raise
        answer = built
    return Data(path=answer.get("path"), num_samples=answer.get("num_samples"))


def _ask(
    module: str, question: dict[str, Any], tell: Callable[[dict[str, Any]], float | None]
) -> dict[str, Any]:
    """Start a child, hand it a question, and wait for its answer.

    Args:
        tell: gets every message before the answer; seconds that it returns are how long the child has
            from then on.
    """
    # what it prints goes to a file: a pipe that nobody empties would stop it
    with tempfile.TemporaryFile() as printed:
        try:
            child = subprocess.Popen(
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
            )
        except OSError as error:
            raise PerfkitError(f"cannot start {module}: {error}") from error
        timer: threading.Timer | None = None
        try:
            assert child.stdin is not None and child.stdout is not None
            with contextlib.suppress(OSError):
                child.stdin.write(json.dumps(question).encode())
                child.stdin.close()
            for line in child.stdout:
                message = _message(line)
                if message.get("event") == "done":
                    return message
                if message.get("event") == "failed":
                    kind = UsageError if message.get("exit_code") == 2 else PerfkitError
                    raise kind(message["message"], hint=message.get("hint"))
                limit_s = tell(message)
                if limit_s is not None:
                    timer = threading.Timer(limit_s, child.kill)
                    timer.start()
            printed.seek(0)
            lines = printed.read().decode(errors="replace").strip().splitlines()
            why = lines[-1] if lines else f"exit code {child.wait()}"
            raise PerfkitError(f"{module} ended without an answer: {why}")
        finally:
            if timer is not None:
                timer.cancel()
            child.kill()
            child.wait()


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
