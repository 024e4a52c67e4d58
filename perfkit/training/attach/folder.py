"""The run folder of one training process: `processes/<pid>/` of the study, whole files and lines."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from perfkit.jsonlines import JsonLines
from perfkit.runfolder import RankFolder, write_json

FORMAT = 1


class ProcessFolder:
    """What this process writes. Readers know it by `attached.json`, which comes once it trains.

    Args:
        study: folder of the study.
        started_ns: `perf_counter_ns` when the process began, as far as we know.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, study: Path, started_ns: int) -> None:
        self._started_ns = started_ns
        self._started_unix_s = time.time() - (time.perf_counter_ns() - started_ns) * 1e-9
        self.path = _new_folder(study / "processes")
        self.rank = RankFolder(self.path / "ranks" / "0")
        self.rank.loader.mkdir(parents=True)
        self._events: JsonLines = self.rank.events

    def event(self, event: str, **values: Any) -> None:
        """Append one event."""
        self._events.append({"event": event, "t_ns": time.perf_counter_ns(), **values})

    def attached(self, ranks: dict[str, int | None]) -> None:
        """Say that this process trains."""
        about = {
            "format": FORMAT,
            "pid": os.getpid(),
            "ppid": os.getppid(),
            "argv": list(sys.argv),
            "executable": sys.executable,
            "cwd": os.getcwd(),
            "started_ns": self._started_ns,
            "started_unix_s": self._started_unix_s,
            **ranks,
        }
        self.status("running", None)
        write_json(self.path / "attached.json", about)

    def environment(self, found: dict[str, Any]) -> None:
        """Keep what is known of software and hardware."""
        write_json(self.path / "environment.json", found)

    def status(self, status: str, exception: str | None) -> None:
        """Say whether this process still trains, and what ended it."""
        write_json(self.path / "status.json", {"status": status, "exception": exception})

    def remove(self) -> None:
        """Take everything away: nothing was trained here."""
        shutil.rmtree(self.path, ignore_errors=True)


def _new_folder(processes: Path) -> Path:
    """Make a folder named by the process; its number may have been another's before."""
    number = 1
    while True:
        name = str(os.getpid()) if number == 1 else f"{os.getpid()}-{number}"
        try:
            (processes / name).mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return processes / name


def ranks() -> dict[str, int | None]:
    """Return rank, local_rank and world_size of this process; None where nobody has said."""
    found: dict[str, int | None] = {"rank": None, "local_rank": None, "world_size": None}
    for name in found:
        with contextlib.suppress(KeyError, ValueError):
            found[name] = int(os.environ[name.upper()])
    distributed = sys.modules.get("torch.distributed")
    with contextlib.suppress(Exception):
        if distributed is not None and distributed.is_initialized():
            found["rank"] = distributed.get_rank()
            found["world_size"] = distributed.get_world_size()
    return found
