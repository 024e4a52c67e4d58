"""A recording that the script itself began: its folder, and who says what it shows."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

from perfkit.runfolder import StudyFolder, place_of_study
from perfkit.training.attach import hooks
from perfkit.training.attach.process import at_end_of_child
from perfkit.training.probe.frames import OURS

PREFIX = "perfkit:"
HOME = Path(OURS).parent
MOST_REPORT_S = 120.0
"""Seconds after which a report that does not come is given up."""
_WIDTH = 110


class Own:
    """The recordings of this process, one after another.

    A script has one. In a notebook a cell that has trained ends one, and the next loader that is watched
    begins another.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._study: StudyFolder | None = None
        self._watched: dict[int, weakref.ref[Any]] = {}
        self._notebook = _notebook()

    def begin(self) -> None:
        """Put the hooks in; the folder is made with the first batch that is asked for."""
        hooks.install(str(HOME), self._place, time.perf_counter_ns())
        hooks.on_iterator = self._iterates
        atexit.register(self.speak)
        if multiprocessing.parent_process() is not None:
            at_end_of_child(self.speak, after=True)
        if self._notebook is not None:
            self._notebook.events.register("post_run_cell", self._cell_is_over)

    def watch(self, loader: Any) -> None:
        """Have a loader begin a recording where there is none."""
        self._watched[id(loader)] = weakref.ref(loader)

    def speak(self) -> None:
        """End the recording, and say what it shows; once, by the process that began it."""
        session, study = hooks.session(), self._study
        self._study = None
        if os.getpid() != self._pid or session is None or study is None:
            return
        session.end()
        if not any((study.path / "processes").glob("*/attached.json")):
            shutil.rmtree(study.path, ignore_errors=True)
            _say("nothing trained here that perfkit can see")
            return
        _say(_report(study.path))
        _say(f"stored in {study.path}")

    def _place(self) -> Path:
        if self._study is not None:
            return self._study.path
        self._study, refused = place_of_study("run")
        where = f"recording to {self._study.path}"
        _say(where if refused is None else f"{refused}; {where}")
        return self._study.path

    def _iterates(self, loader: Any) -> None:
        """A loader is iterated over: one that is watched begins a new recording after one that is over."""
        session = hooks.session()
        if session is None or not session.over or os.getpid() != self._pid:
            return
        known = self._watched.get(id(loader))
        if known is not None and known() is loader:
            hooks.renew()

    def _cell_is_over(self, result: Any = None) -> None:
        session = hooks.session()
        if session is not None and session.has_trained:
            self.speak()


_own: Own | None = None


def begin(loader: Any) -> None:
    """Begin a recording in this process, unless there is one, or another rank has it."""
    global _own
    if _own is None:
        if hooks.session() is not None or _rank() != 0:
            return
        own = Own()
        own.begin()
        _own = own
    _own.watch(loader)


def _rank() -> int:
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    told = os.environ.get("RANK", "")
    return int(told) if told.isdecimal() else 0


def _notebook() -> Any:
    """The shell of IPython that this process runs in; None where it runs in none."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return None if shell is None else shell()


def _report(study: Path) -> str:
    """What `perfkit report` has to say, made in a process of its own."""
    width = shutil.get_terminal_size((_WIDTH, 24)).columns - len(PREFIX) - 1
    path = os.environ.get("PYTHONPATH")
    environ = {
        **os.environ,
        "COLUMNS": str(width),
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": f"{HOME}{os.pathsep}{path}" if path else str(HOME),
    }
    command = [
        sys.executable,
        "-m",
        "perfkit",
        "report",
        str(study.resolve()),
        "--format",
        "console",
    ]
    try:
        done = subprocess.run(
            command,
            cwd=HOME,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=MOST_REPORT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"no report could be made: {error}; perfkit report {study} makes it"
    return done.stdout.decode("utf-8", "replace")


def _say(text: str) -> None:
    lines = "".join(f"{PREFIX} {line}".rstrip() + "\n" for line in text.splitlines())
    with contextlib.suppress(Exception):
        sys.stderr.write(lines)
        sys.stderr.flush()
