"""The baton: exactly one training process runs at a time, and it is written down who and when."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from perfkit.engine.process import TrainingProcess
from perfkit.jsonlines import JsonLines
from perfkit.runfolder import cannot_write


class Baton:
    """Lets one process run and pauses it again; the others stay paused.

    Args:
        log: gets one line per turn: process folder, key, what, `start_ns`, `end_ns`.
    """

    def __init__(self, log: JsonLines) -> None:
        self._log = log
        self._held_s: dict[int, float] = {}

    @contextlib.contextmanager
    def held_by(self, process: TrainingProcess, what: str) -> Iterator[None]:
        """Let `process` run inside the with-block, and pause its whole group at the end of it.

        The process must have answered by then, so that its block is over and its device idle.

        Raises:
            PerfkitError: the turn is over and cannot be written down.
        """
        start_ns = time.perf_counter_ns()
        process.go_on()
        try:
            yield
        finally:
            process.stop()
            end_ns = time.perf_counter_ns()
            held = (end_ns - start_ns) * 1e-9
            self._held_s[process.pid] = self.held_s(process) + held
            turn = {
                "process": process.folder.path.name,
                "key": process.key,
                "what": what,
                "start_ns": start_ns,
                "end_ns": end_ns,
            }
            try:
                self._log.append(turn)
            except OSError as error:
                raise cannot_write(self._log.path, error) from error

    def held_s(self, process: TrainingProcess) -> float:
        """How long a process has held the baton; timeouts count nothing else."""
        return self._held_s.get(process.pid, 0.0)
