"""What a user asked of diagnose, and the row that follows from it on a machine. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfkit.config import RunConfig
from perfkit.engine.plan import RowPlan
from perfkit.settings import Setting
from perfkit.study.layout import Layout
from perfkit.study.matrix import row_of
from perfkit.study.request import StudyRequest
from perfkit.study.settings import base_settings
from perfkit.study.sizes import Machine


@dataclass(frozen=True, kw_only=True)
class DiagnoseRequest(StudyRequest):
    """What a user asked of diagnose."""

    arch: str = "convnext"
    variant: str | None = None
    """Its text; None where only the flags below say how it runs, and FP32 where none does."""
    amp: bool = False
    compile: bool = False
    compile_mode: str | None = None
    verify: int = 0
    """How many of the remedies are run, and then the best of them together; 0 runs none."""
    operators: bool = False
    """Whether operators are told with their file and line."""

    def on(self, machine: Machine, declared: Mapping[str, Sequence[Setting]]) -> Layout:
        """Return the row that is diagnosed, and the settings that it changes.

        Args:
            declared: the workloads' own settings, by workload.

        Raises:
            UsageError: its variant does not exist or cannot be had, a flag has a value that no training can
                have, or sets what the workload does not have.
        """
        own = declared.get(self.arch, ())
        base = base_settings(machine, self.arch, self.settings, own, seed=self.seed)
        return Layout.over([base], self._rows_over, declared)

    def _rows_over(self, bases: Sequence[RunConfig]) -> tuple[RowPlan, ...]:
        """The one row that all flags make."""
        mode = f"={self.compile_mode}" if self.compile_mode else ""
        parts = [
            self.variant,
            "amp" if self.amp else None,
            f"compile{mode}" if self.compile or self.compile_mode else None,
        ]
        text = "+".join(part for part in parts if part is not None) or "fp32"
        return tuple(row_of(base, text) for base in bases)
