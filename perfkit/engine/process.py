"""One training process as the engine sees it: started, spoken to, stopped, continued, ended."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from perfkit.document import Status
from perfkit.errors import PerfkitError
from perfkit.runfolder import RunFolder
from perfkit.wire import unpack_reply

CAN_STOP = hasattr(signal, "SIGSTOP") and hasattr(os, "killpg")
_POLL_S = 0.2


class Failed(Exception):
    """The process is over, or as good as: its row's status and message."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status: Status = status
        self.message = message


class TrainingProcess:
    """A child with its own process group in our session, and a line to it.

    Raises:
        PerfkitError: it cannot be started at all.
    """

    def __init__(self, folder: RunFolder, key: str) -> None:
        self.folder = folder
        self.key = key
        self.failure: Failed | None = None
        self._stopped = False
        self._replies: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        command = [sys.executable, "-m", "perfkit.training.player", str(folder.path)]
        try:
            with folder.log.open("ab") as log:
                self._child = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
                )
        except OSError as error:
            raise PerfkitError(f"cannot start a training process: {error}") from error
        threading.Thread(target=self._listen, name=f"replies of {key}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group once it has said hello."""
        return self._child.pid

    def ask(self, timeout_s: float, do: str, **arguments: Any) -> dict[str, Any]:
        """Give a command and wait for its answer.

        Raises:
            Failed: the process failed, died or took longer than `timeout_s`; it is ended then.
        """
        line = json.dumps({"do": do, **arguments}).encode() + b"\n"
        with contextlib.suppress(OSError):
            assert self._child.stdin is not None
            self._child.stdin.write(line)
            self._child.stdin.flush()
        return self.wait_for("done", timeout_s, what=do)

    def wait_for(self, event: str, timeout_s: float, *, what: str) -> dict[str, Any]:
        """Wait for one kind of reply.

        Raises:
            Failed: as `ask`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            reply = self._next_reply(deadline, what)
            if reply.get("event") == "failed":
                self._fail(reply["status"], reply["message"])
            if reply.get("event") == event:
                return reply

    def stop(self) -> None:
        """Pause the whole group, loader workers and all."""
        if CAN_STOP and not self._stopped:
            self._signal(signal.SIGSTOP)
            self._stopped = True

    def go_on(self) -> None:
        """Let the group run again."""
        if CAN_STOP and self._stopped:
            self._signal(signal.SIGCONT)
            self._stopped = False

    def end(self) -> None:
        """End the process and everything it started, whatever state it is in."""
        with contextlib.suppress(OSError):
            if self._child.stdin is not None:
                self._child.stdin.close()
        self._kill()

    def leave(self, timeout_s: float = 10.0) -> None:
        """Wait for a process that was told to quit, then make sure that its workers are gone too."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout_s)
        self.end()

    def _next_reply(self, deadline: float, what: str) -> dict[str, Any]:
        while True:
            left = deadline - time.monotonic()
            try:
                reply = self._replies.get(timeout=max(0.0, min(left, _POLL_S)))
            except queue.Empty:
                # workers may hold the pipe open after the trainer has died: ask for itself
                code = self._child.poll()
                if code is not None and self._replies.empty():
                    self._fail(*_meaning_of_exit(code, what, self.folder))
                if left <= 0:
                    self._fail("timeout", f"no answer within the time limit during {what}")
                continue
            if reply is not None:
                return reply
            self._fail(*_meaning_of_exit(self._child.wait(), what, self.folder))

    def _fail(self, status: Status, message: str) -> NoReturn:
        self.failure = Failed(status, message)
        self._kill()
        raise self.failure

    def _kill(self) -> None:
        if hasattr(os, "killpg"):
            self._signal(signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._child.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(10)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            # not a group of its own yet, or gone
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number) if self._child.poll() is None else None
        except PermissionError:
            return

    def _listen(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            reply = unpack_reply(line)
            if reply is not None:
                self._replies.put(reply)
        self._replies.put(None)


def _meaning_of_exit(code: int, what: str, folder: RunFolder) -> tuple[Status, str]:
    """Status and message of a process that ended without saying why."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:  # a real-time signal has no name
            name = f"signal {-code}"
        why = ": perhaps the kernel ran out of memory" if name == "SIGKILL" else ""
        return "killed", f"killed by {name} during {what}{why}"
    return "error", f"exited with code {code} during {what}{_last_line(folder.log)}"


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f": {lines[-1][:200]}" if lines else ""
