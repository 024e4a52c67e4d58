"""Short-lived children that answer one question: what machine is this, is the data there."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
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


def prepare(config: RunConfig, emit: Callable[[Event], None]) -> str | None:
    """Make the data of a workload where it is not there yet.

    Returns:
        Where it lies, or None when the workload needs none.

    Raises:
        UsageError: the workload or its data cannot be had.
        PerfkitError: no space, no permission, or the child died.
    """

    def tell(message: dict[str, Any]) -> None:
        if message.get("event") == "progress":
            emit(Preparing(message["done"], message["total"], message.get("path") or ""))

    path: str | None = _ask("perfkit.training.prepare", to_json(config), tell).get("path")
    return path


def _ask(
    module: str, question: dict[str, Any], tell: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        raise PerfkitError(f"cannot start {module}: {error}") from error
    try:
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None
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
            tell(message)
        lines = child.stderr.read().decode(errors="replace").strip().splitlines()
        why = lines[-1] if lines else f"exit code {child.wait()}"
        raise PerfkitError(f"{module} ended without an answer: {why}")
    finally:
        child.kill()
        child.wait()


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
