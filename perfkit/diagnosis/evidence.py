"""What a rule may look at: the measurements of one row and the machine they were made on."""

from __future__ import annotations

from dataclasses import dataclass

from perfkit.config import RunConfig
from perfkit.document import Row, Severity


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One measured row, its settings and its machine. What was not measured is None, never 0."""

    row: Row
    config: RunConfig
    cores: int | None
    """CPU cores this user may use; None where unknown."""

    @property
    def on_cpu(self) -> bool:
        """Whether training and loading share the CPU's cores."""
        return self.config.device.startswith("cpu")

    @property
    def epoch_s(self) -> float | None:
        """Forecast seconds of an epoch: the sum of its parts; None when it has none."""
        total = sum(self.row.epoch_parts_s.values())
        return total if total > 0 else None

    @property
    def step_s(self) -> float | None:
        """Mean seconds of a step: the sum of its phases; None when they were not recorded."""
        total = sum(self.row.phases_s.values())
        return total if total > 0 else None

    def share_of_epoch(self, part_s: float) -> float | None:
        """Return a part of the epoch's seconds as a share of it."""
        return None if self.epoch_s is None else part_s / self.epoch_s


def severity(share: float, moderate: float, high: float) -> Severity | None:
    """Return how much a share matters; None below the moderate threshold."""
    if share >= high:
        return "high"
    return "moderate" if share >= moderate else None
