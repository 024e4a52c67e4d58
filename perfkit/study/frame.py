"""What a Document says besides its rows: the command, the machine, the settings, the budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from perfkit.codec import to_json
from perfkit.config import RunConfig
from perfkit.document import Note

_NOT_OF_ALL_ROWS = (
    *("cache_dir", "variants", "arch", "lr_batch_size"),
    *("workload", "workload_chosen"),
)
"""Fields of the base settings that no plain flag sets for every row."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The head of a Document, known before anything is measured."""

    command: str
    environment: dict[str, Any]
    base: RunConfig
    budget_s: float
    """What the study may take in all, as it was asked for."""
    warnings: tuple[Note, ...] = ()
    sizes: str = ""
    """What was chosen for this machine, in words."""
    created: str = field(
        default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds")
    )

    def base_settings(self) -> dict[str, Any]:
        """The plain flags that every row shares, as the Document has them, the workload's own beside them."""
        shared = {k: v for k, v in to_json(self.base).items() if k not in _NOT_OF_ALL_ROWS}
        return shared | self.base.workload
