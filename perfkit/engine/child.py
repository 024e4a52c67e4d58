"""A child that imports torch and answers questions, one after another, until it is ended."""

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
from collections.abc import Callable, Collection
from typing import IO, Any

from perfkit.errors import PerfkitError, UsageError

ANSWERS = "perfkit.training.answers"
_POLL_S = 0.2


class TimeOut(PerfkitError):
    """The child gave no answer in time."""


class Child:
    """A process that is started when the first question is asked, and again when it cannot take the next.

    That is so when it has died, was given up, or has imported the file of another workload than the
    question is about: that may have seeded, patched torch, or brought modules of the same names.
    """

    def __init__(self, module: str = ANSWERS) -> None:
        self._module = module
        self._running: _Running | None = None

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def ask(
        self,
        question: dict[str, Any],
        hear: Callable[[dict[str, Any]], float | None],
        *,
        silent_s: float,
        imports: Collection[str] = (),
    ) -> dict[str, Any]:
        """Hand it a question, and wait for its answer.

        Args:
            hear: gets every message before the answer; seconds that it returns are how long the child has
                from then on, whatever it says.
            silent_s: how long it may neither say nor print anything.
            imports: workloads whose files it imports for this.

        Raises:
            TimeOut: it was silent for too long, or has used up its time.
            UsageError: it answers that what was asked cannot be had.
            PerfkitError: it cannot be started, it died, or it answers that something failed.
        """
        running = self._started(imports)
        try:
            message = running.answer(question, hear, silent_s)
        except BaseException:
            # what it says from now on would be taken for the answer to the next question
            self.end()
            raise
        if message["event"] == "failed":
            kind = UsageError if message.get("exit_code") == 2 else PerfkitError
            raise kind(message["message"], hint=message.get("hint"))
        return message

    def end(self) -> None:
        """End the process, if there is one."""
        running, self._running = self._running, None
        if running is not None:
            running.end()

    def _started(self, imports: Collection[str]) -> _Running:
        running = self._running
        if running is not None and not (running.alive() and running.imported <= set(imports)):
            self.end()
        if self._running is None:
            self._running = _Running(self._module)
        self._running.imported.update(imports)
        return self._running


class _Running:
    """One process of a child, and what is heard of it."""

    def __init__(self, module: str) -> None:
        self._module = module
        self.imported: set[str] = set()
        """Workloads whose files it may have imported."""
        # what it prints goes to a file: a pipe that nobody empties would stop it
        self._printed = _temporary_file()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._printed,
            )
        except OSError as error:
            self._printed.close()
            raise PerfkitError(f"cannot start {module}: {error}") from error
        self._heard = _listen_to(self._process)

    def alive(self) -> bool:
        return self._process.poll() is None

    def answer(
        self,
        question: dict[str, Any],
        hear: Callable[[dict[str, Any]], float | None],
        silent_s: float,
    ) -> dict[str, Any]:
        before = size = self._size()
        self._write(question)
        limit_s: float | None = None
        began = time.monotonic()
        while True:
            try:
                line = self._heard.get(timeout=_POLL_S)
            except queue.Empty:
                grown = self._size()
                if limit_s is None and grown != size:
                    began, size = time.monotonic(), grown
                if time.monotonic() - began > (silent_s if limit_s is None else limit_s):
                    raise TimeOut(f"{self._module} gave no answer") from None
                continue
            if line is None:
                raise PerfkitError(f"{self._module} ended without an answer: {self._why(before)}")
            message = _message(line)
            if message.get("event") in ("done", "failed"):
                return message
            given_s = hear(message)
            if given_s is not None:
                limit_s = given_s
                began = time.monotonic()
            elif limit_s is None:
                began = time.monotonic()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._printed.close()

    def _write(self, question: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        # one that has died is told by the end of what it says
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()

    def _size(self) -> int:
        return os.fstat(self._printed.fileno()).st_size

    def _why(self, before: int) -> str:
        """The last line that it has printed since, or else how it ended."""
        self._printed.seek(before)
        lines = self._printed.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self._process.wait()}"


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
