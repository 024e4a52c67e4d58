"""What a user asked of diagnose, and the row that follows from it on a machine. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from perfkit.config import RunConfig
from perfkit.engine.plan import RowPlan
from perfkit.study.matrix import row_of
from perfkit.study.settings import base_settings, refuse_empty_epochs
from perfkit.study.sizes import Machine


@dataclass(frozen=True, kw_only=True)
class DiagnoseRequest:
    """What a user asked of diagnose."""

    command: str
    arch: str = "convnext"
    variant: str | None = None
    """Its text; None where only the flags below say how it runs, and FP32 where none does."""
    amp: bool = False
    compile: bool = False
    compile_mode: str | None = None
    device: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    """RunConfig fields that the plain flags set; None where a flag was not given."""
    largest_batch: bool = False
    """Find the largest batch that fits, and use it."""
    budget_s: float | None = None
    seed: int = 0
    verify: int = 0
    """How many of the remedies are run, and then the best of them together; 0 runs none."""
    operators: bool = False
    """Whether operators are told with their file and line."""

    @property
    def text(self) -> str:
        """The one variant that all its flags make."""
        mode = f"={self.compile_mode}" if self.compile_mode else ""
        parts = [
            self.variant,
            "amp" if self.amp else None,
            f"compile{mode}" if self.compile or self.compile_mode else None,
        ]
        return "+".join(part for part in parts if part is not None) or "fp32"

    def base(self, machine: Machine) -> RunConfig:
        """Return the settings of the training, its variant aside.

        Raises:
            UsageError: a flag has a value that no training can have.
        """
        given = {name: value for name, value in self.settings.items() if value is not None}
        if self.largest_batch:
            # as in a bench: kept memory fragments, and what fits would change from run to run
            given["malloc"] = "default"
        return base_settings(machine, self.arch, {**given, "seed": self.seed})

    def row(self, base: RunConfig) -> RowPlan:
        """Return the row that is diagnosed.

        Raises:
            UsageError: its variant does not exist or cannot be had.
        """
        row = row_of(base, self.text)
        refuse_empty_epochs([row])
        return row
