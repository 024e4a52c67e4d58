"""The line between the engine and a training process: commands on stdin, replies on what was stdout.

The real stdout is taken over at start for replies (`perfkit.wire`) and file descriptor 1 is pointed at
stderr (the log), so nothing that a workload prints can be mistaken for a reply. When stdin ends the
engine is gone, however it ended, and with it goes the whole process group: no child or worker outlives
its parent.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import threading
from typing import Any

from perfkit.wire import pack_reply


class Channel:
    """One end of the line, inside the training process. Make it before anything else prints."""

    def __init__(self) -> None:
        self._orders = os.dup(0)
        os.set_inheritable(self._orders, False)
        # a workload that reads its input finds none, and does not take a command for it
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self._mid_line = False
        self._replies = os.dup(1)
        os.set_inheritable(self._replies, False)
        os.dup2(2, 1)
        if hasattr(os, "setpgid"):
            os.setpgid(0, 0)
            # a hang-up is how the kernel ends a stopped, orphaned group: never ignore it
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self._commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._home = os.getpid()
        threading.Thread(target=self._listen, name="perfkit-commands", daemon=True).start()

    def receive(self) -> dict[str, Any]:
        """Wait for the next command."""
        return self._commands.get()

    def reply(self, message: dict[str, Any]) -> None:
        """Send one reply; an engine that is gone is no error here.

        A signal handler may raise in the middle of it; the next reply then begins a line of its own.
        """
        data = pack_reply(message)
        if self._mid_line:
            data = b"\n" + data
        self._mid_line = True
        try:
            while data:
                data = data[os.write(self._replies, data) :]
        except OSError:
            self._end()
        self._mid_line = False

    def _listen(self) -> None:
        # not sys.stdin: a thread inside its lock aborts the interpreter's shutdown
        waiting = b""
        while chunk := os.read(self._orders, 65536):
            *lines, waiting = (waiting + chunk).split(b"\n")
            for line in lines:
                self._commands.put(json.loads(line))
        self._end()

    def _end(self) -> None:
        if os.getpid() != self._home:
            return
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)
