"""One row's process while its generation runs, and what was lost of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from perfkit.engine.collect import BlockWatch, Lost, collect, relative
from perfkit.engine.plan import RowPlan
from perfkit.engine.process import Failed, TrainingProcess
from perfkit.engine.results import ProcessResult
from perfkit.errors import NO_SPACE
from perfkit.runfolder import StudyFolder

PARTS = {
    "load": "loader_samples_per_sec",
    "edges": "edges",
    "epoch": "full_epoch",
    "examine": "examine",
    "profile": "burst",
}
"""What follows the timed blocks: by command, what is lost with its answer."""
_REASONS = {"oom": "no_memory", "timeout": "timeout", "killed": "killed"}
"""Reason codes of what a process could not answer, by how it ended; else `failed`."""
QUIT_S = 5.0
"""How long the processes may take to put on disk what they hold; then they are ended as they are."""


@dataclass
class Member:
    """One row's process in its generation."""

    row: RowPlan
    process: TrainingProcess
    step_s: float = 0.0
    warm_up: dict[str, Any] = field(default_factory=dict)
    """What it answered to the warm-up."""
    watches: list[BlockWatch] = field(default_factory=list)
    blocks_run: int = 0
    failure: Failed | None = None
    """How it ended before its blocks were timed; nothing that happens later is one."""
    measured: bool = False
    """Its blocks are timed: it stays a row, whatever becomes of the process."""
    answered: set[str] = field(default_factory=set)
    """Commands that it has answered."""
    lost: dict[str, Lost] = field(default_factory=dict)

    def result(self, study: StudyFolder) -> ProcessResult:
        """Return what it has measured and what was lost of it."""
        folder = self.process.folder
        name = relative(folder.path, study.path)
        return collect(folder, self.row.key, self.watches, self.failure, name, self.lost)

    def lose(self, do: str, failure: Failed) -> bool:
        """Note that a command has no answer; returns whether that is news.

        One that was answered, and only asked again because it was disturbed, is not lost.
        """
        part = PARTS[do]
        if do in self.answered or part in self.lost:
            return False
        reason = _REASONS.get(failure.status, "failed")
        self.lost[part] = Lost(reason=reason, message=failure.message)
        return True

    def interrupt(self, commands: Sequence[str]) -> None:
        """Note that those of the commands that have no answer will get none."""
        for do in commands:
            if do not in self.answered:
                missing = Lost(reason="interrupted", message="interrupted before it was measured")
                self.lost.setdefault(PARTS[do], missing)

    def without_space(self) -> str | None:
        """What was lost because the disk is full, in words; None where nothing was."""
        messages = (missing.message for missing in self.lost.values())
        return next((text for text in messages if text.startswith(NO_SPACE)), None)


def leave(members: Sequence[Member]) -> None:
    """Have all of them put on disk what they hold. One that cannot has lost nothing that was answered."""
    # not turns: processes on their way out must not be paused
    for member in members:
        member.process.go_on()
        member.process.send("quit")
    deadline = time.monotonic() + QUIT_S
    for member in members:
        try:
            member.process.wait_for("done", max(0.0, deadline - time.monotonic()), what="quit")
        except Failed as failure:
            with contextlib.suppress(OSError), member.process.folder.log.open("a") as log:
                log.write(f"perfkit: it did not quit: {failure.message}\n")


def end(members: Sequence[Member]) -> None:
    """End their processes, whatever state they are in."""
    # files are closed once it has answered: its own way out takes most of a second, and tells nothing
    for member in members:
        member.process.kill()
    for member in members:
        member.process.end()


def living(members: Sequence[Member]) -> list[Member]:
    """Return those whose process has not failed."""
    return [member for member in members if member.process.failure is None]
