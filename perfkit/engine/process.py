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
from perfkit.runfolder import RunFolder, cannot_write
from perfkit.wire import unpack_reply

CAN_STOP = hasattr(signal, "SIGSTOP") and hasattr(os, "killpg")
_POLL_S = 0.2
_MOMENT_S = 0.01
_END_S = 10.0
"""How long a process that was killed is waited for."""


class Failed(Exception):
    """The process is over, or as good as: its row's status and message."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status: Status = status
        self.message = message


class TrainingProcess:
    """A child with its own process group in our session, and a line to it.

    A signal goes to a number, and the kernel gives the number of a process to another one once it was
    waited for. So the child is waited for only after its whole group was killed, and is signalled no
    more from then on; whether it has died is asked for without waiting for it.

    Raises:
        PerfkitError: it cannot be started at all.
    """

    def __init__(self, folder: RunFolder, key: str) -> None:
        self.folder = folder
        self.key = key
        self.failure: Failed | None = None
        self._stopped = False
        self._replies: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        # absolute: a workload may change its working directory
        place = str(folder.path.absolute())
        command = [sys.executable, "-m", "perfkit.training.player", place]
        try:
            log = folder.log.open("ab")
        except OSError as error:
            raise cannot_write(folder.log, error) from error
        try:
            with log:
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
        self.send(do, **arguments)
        return self.wait_for("done", timeout_s, what=do)

    def send(self, do: str, **arguments: Any) -> None:
        """Give a command; `wait_for` its answer later. A process that is gone is noticed there."""
        line = json.dumps({"do": do, **arguments}).encode() + b"\n"
        with contextlib.suppress(OSError, ValueError):
            assert self._child.stdin is not None
            self._child.stdin.write(line)
            self._child.stdin.flush()

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

    def kill(self) -> None:
        """Kill the process and everything it started, whatever state it is in, without waiting for it."""
        self._signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

    def end(self) -> None:
        """End the process and everything it started, and wait until it is gone."""
        with contextlib.suppress(OSError):
            if self._child.stdin is not None:
                self._child.stdin.close()
        self.kill()
        # a driver call that never returns may keep it even past a kill
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(_END_S)

    def _next_reply(self, deadline: float, what: str) -> dict[str, Any]:
        while True:
            left = deadline - time.monotonic()
            try:
                reply = self._replies.get(timeout=max(0.0, min(left, _POLL_S)))
            except queue.Empty:
                # workers may hold the pipe open after the trainer has died: ask for itself
                code = self._exit_code()
                if code is not None and self._replies.empty():
                    self._fail(*_meaning_of_exit(code, what, self.folder))
                if left <= 0:
                    self._fail("timeout", f"no answer within the time limit during {what}")
                continue
            if reply is not None:
                return reply
            # nobody can speak to us any more; the process itself may take a moment longer
            code = self._exit_code()
            while code is None and time.monotonic() < deadline:
                time.sleep(_MOMENT_S)
                code = self._exit_code()
            if code is None:
                self._fail("timeout", f"it closed its line to perfkit during {what}")
            self._fail(*_meaning_of_exit(code, what, self.folder))

    def _fail(self, status: Status, message: str) -> NoReturn:
        self.failure = Failed(status, message)
        self.end()
        raise self.failure

    def _exit_code(self) -> int | None:
        """How the process ended, None while it lives. Its number stays taken where the system can do that."""
        if self._child.returncode is None and hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):
                over = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if over is None:
                    return None
                return over.si_status if over.si_code == os.CLD_EXITED else -over.si_status
        # without it the workers of a process that died are left to themselves: they end with it
        return self._child.poll()

    def _signal(self, number: signal.Signals) -> None:
        if self._child.returncode is not None:
            # waited for: the number may be somebody else's by now
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if not hasattr(os, "killpg"):
                self._child.send_signal(number)
                return
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                # not a group of its own yet
                os.kill(self.pid, number)

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
