"""One row's process while its generation runs, and what was lost of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from perfkit.engine.collect import BlockWatch, Lost
from perfkit.engine.plan import RowPlan
from perfkit.engine.process import Failed, TrainingProcess
from perfkit.errors import NO_SPACE

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


@dataclass
class Seat:
    """Where a process sits in its generation."""

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

    def without_space(self) -> str | None:
        """What was lost because the disk is full, in words; None where nothing was."""
        messages = (missing.message for missing in self.lost.values())
        return next((text for text in messages if text.startswith(NO_SPACE)), None)
