"""Running a command that measures as a user does, in a process and a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PLUGINS = Path(__file__).parent / "plugins"
SHORT = ("--generations", "1", "--steps", "5", "--num-samples", "320", "--num-workers", "0")


def environment(**extra: str) -> dict[str, str]:
    """The environment of a user who has the plug-ins of these tests."""
    return {**os.environ, "PERFKIT_PATH": str(PLUGINS), "COLUMNS": "120", **extra}


def start(
    folder: Path, *arguments: str, command: str = "bench", env: Mapping[str, str] | None = None
) -> Any:
    """Start `perfkit bench`, or another command, in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-m", "perfkit", command, *arguments],
        cwd=folder,
        env=dict(env or environment()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a job that a shell starts in the background ignores Ctrl-C, and so would its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def bench(
    folder: Path, *arguments: str, command: str = "bench", env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run it to its end: exit code, stdout, stderr."""
    child = start(folder, *arguments, command=command, env=env)
    out, err = child.communicate(timeout=300)
    return child.returncode, out, err


def rows(path: Path) -> dict[str, dict[str, Any]]:
    """The rows of a Document's file, by key."""
    return {row["key"]: row for row in json.loads(path.read_text())["rows"]}


def study(folder: Path) -> Path:
    """The one study folder below `folder`."""
    (found,) = [path for path in (folder / ".perfkit").iterdir() if path.is_dir()]
    return found


def alive(folder: Path) -> list[str]:
    """Command lines of the living processes that were started in `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or entry.name == str(os.getpid()):
            continue
        try:
            here = (entry / "cwd").resolve().is_relative_to(folder.resolve())
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            if here and state != "Z":
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def states(group: int) -> dict[int, str]:
    """State of every living process of a group, by id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, _, pgrp = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:3]
            except OSError:
                continue
            if int(pgrp) == group and state != "Z":
                found[int(entry.name)] = state
    return found


def all_gone(folder: Path, within_s: float = 60.0) -> bool:
    """Whether every process started in `folder` ends within some seconds."""
    deadline = time.monotonic() + within_s
    while alive(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def wait_for(condition: Any, within_s: float = 180.0) -> None:
    """Wait until `condition()` holds."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
