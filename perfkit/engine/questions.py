"""Short-lived children that answer one question: what machine is this, is the data there."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

from perfkit.codec import from_json, to_json
from perfkit.config import RunConfig
from perfkit.engine.events import Event, Preparing
from perfkit.errors import PerfkitError, UsageError
from perfkit.settings import Setting

SURVEY_S = 120.0
"""How long torch may take to say which device there is: a first import from a cold network disk included."""
LEAST_SILENT_S = 60.0
"""A workload's file may import for so long without a word, however short the limit of its row is."""
_POLL_S = 0.2


class _TimeOut(PerfkitError):
    """The child gave no answer in time."""


def survey(device: str | None, archs: Sequence[str] = ()) -> dict[str, Any]:
    """Ask, in a process of its own, torch which device there is, and workloads which settings they have.

    Args:
        device: as the user wrote it, or None for the best there is.
        archs: the workloads; their files are imported.

    Returns:
        `device` (a torch device name), `environment`, and `settings`: by workload, a tuple of `Setting`.

    Raises:
        UsageError: there is no such device or workload.
        PerfkitError: torch cannot be imported, or the child died or hung.
    """
    importing: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        if message.get("event") == "importing":
            importing.append(str(message["arch"]))

    question = {"device": device, "archs": list(archs)}
    try:
        answer = _ask("perfkit.training.survey", question, hear, silent_s=SURVEY_S)
        declared = answer["settings"].items()
        found = {arch: tuple(from_json(Setting, one) for one in each) for arch, each in declared}
        return {**answer, "settings": found}
    except _TimeOut as error:
        if importing:
            raise PerfkitError(
                f"workload {importing[-1]}: importing its file took more than {SURVEY_S:.0f} s"
            ) from error
        raise PerfkitError(
            f"torch did not say within {SURVEY_S:.0f} s which device there is",
            hint="see whether `python -c 'import torch; print(torch.cuda.is_available())'` comes back",
        ) from error


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
            is left to its row, which then says so. Also how long its `prepare` may go without telling
            progress or printing, but that is at least `LEAST_SILENT_S`.

    Raises:
        UsageError: the workload or its data cannot be had.
        PerfkitError: no space, no permission, or the child died or hung.
    """
    built: dict[str, Any] = {}
    silent_s = max(timeout_s, LEAST_SILENT_S)

    def hear(message: dict[str, Any]) -> float | None:
        if message.get("event") == "progress":
            emit(Preparing(message["done"], message["total"], message.get("path") or ""))
        if message.get("event") != "building":
            return None
        built.update(message)
        return timeout_s

    try:
        answer = _ask("perfkit.training.prepare", to_json(config), hear, silent_s=silent_s)
    except UsageError:
        raise
    except PerfkitError as error:
        if built:
            answer = built
        elif isinstance(error, _TimeOut):
            raise PerfkitError(
                f"workload {config.arch}: its prepare gave no sign of life for {silent_s:g} s",
                hint="call progress(done, total, path) from it while it works, or raise --timeout",
            ) from error
        else:
            raise
    return Data(path=answer.get("path"), num_samples=answer.get("num_samples"))


def _ask(
    module: str,
    question: dict[str, Any],
    hear: Callable[[dict[str, Any]], float | None],
    *,
    silent_s: float,
) -> dict[str, Any]:
    """Start a child, hand it a question, and wait for its answer.

    Args:
        hear: gets every message before the answer; seconds that it returns are how long the child has
            from then on, whatever it says.
        silent_s: how long it may neither say nor print anything.

    Raises:
        _TimeOut: it was silent for too long, or has used up its time.
    """
    # what it prints goes to a file: a pipe that nobody empties would stop it
    with _temporary_file() as printed:
        try:
            child = subprocess.Popen(
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
            )
        except OSError as error:
            raise PerfkitError(f"cannot start {module}: {error}") from error
        try:
            heard = _listen_to(child)
            assert child.stdin is not None
            with contextlib.suppress(OSError):
                child.stdin.write(json.dumps(question).encode())
                child.stdin.close()
            limit_s: float | None = None
            began = time.monotonic()
            size = 0
            while True:
                try:
                    line = heard.get(timeout=_POLL_S)
                except queue.Empty:
                    grown = os.fstat(printed.fileno()).st_size
                    if limit_s is None and grown != size:
                        began, size = time.monotonic(), grown
                    if time.monotonic() - began > (silent_s if limit_s is None else limit_s):
                        raise _TimeOut(f"{module} gave no answer") from None
                    continue
                if line is None:
                    break
                message = _message(line)
                if message.get("event") == "done":
                    return message
                if message.get("event") == "failed":
                    kind = UsageError if message.get("exit_code") == 2 else PerfkitError
                    raise kind(message["message"], hint=message.get("hint"))
                given_s = hear(message)
                if given_s is not None:
                    limit_s = given_s
                    began = time.monotonic()
                elif limit_s is None:
                    began = time.monotonic()
            printed.seek(0)
            lines = printed.read().decode(errors="replace").strip().splitlines()
            why = lines[-1] if lines else f"exit code {child.wait()}"
            raise PerfkitError(f"{module} ended without an answer: {why}")
        finally:
            child.kill()
            child.wait()


def _listen_to(child: subprocess.Popen[bytes]) -> queue.SimpleQueue[bytes | None]:
    """Return what a child says, line by line as it comes, None at the end."""
    heard: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def listen() -> None:
        assert child.stdout is not None
        for line in child.stdout:
            heard.put(line)
        heard.put(None)

    threading.Thread(target=listen, name="answers of a child", daemon=True).start()
    return heard


def _temporary_file() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise PerfkitError(
            f"no temporary file can be made: {error.strerror or error}",
            hint="free some space, or name another place in TMPDIR",
        ) from error


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
