"""What a user asked of diagnose, and the row that follows from it on a machine. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from perfkit.config import RunConfig
from perfkit.engine.plan import RowPlan
from perfkit.errors import UsageError
from perfkit.study.matrix import row_of
from perfkit.study.settings import base_settings
from perfkit.study.sizes import Machine


@dataclass(frozen=True, kw_only=True)
class DiagnoseRequest:
    """What a user asked of diagnose."""

    command: str
    arch: str = "convnext"
    variant: str = "fp32"
    device: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    """RunConfig fields that the plain flags set; None where a flag was not given."""
    budget_s: float | None = None
    seed: int = 0
    verify: int = 0
    """How many of the remedies are run, and then the best of them together; 0 runs none."""

    def base(self, machine: Machine) -> RunConfig:
        """Return the settings of the training, its variant aside.

        Raises:
            UsageError: a flag has a value that no training can have.
        """
        given = {name: value for name, value in self.settings.items() if value is not None}
        return base_settings(machine, self.arch, {**given, "seed": self.seed})

    def row(self, base: RunConfig) -> RowPlan:
        """Return the row that is diagnosed.

        Raises:
            UsageError: its variant does not exist or cannot be had.
        """
        row = row_of(base, self.variant)
        if row.config.steps_per_epoch < 1:
            raise UsageError(
                f"{row.key}: batch {row.config.batch_size} is more than the"
                f" {row.config.num_samples} samples of an epoch",
                hint="use a smaller batch, or --num-samples",
            )
        return row
