"""What a user asked of bench, and the settings and rows that follow from it on a machine. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from perfkit.config import RunConfig
from perfkit.document import Note
from perfkit.engine.plan import RowPlan
from perfkit.settings import Setting
from perfkit.study.bench.presets import Preset, preset_of
from perfkit.study.layout import Layout
from perfkit.study.matrix import row_of, rows, swept
from perfkit.study.request import StudyRequest, at_least
from perfkit.study.settings import base_settings, warnings
from perfkit.study.sizes import Machine

BUILT_IN = ("convnext", "baseline")
"""Workloads of the rows where none are named."""


@dataclass(frozen=True, kw_only=True)
class BenchRequest(StudyRequest):
    """What a user asked of bench."""

    RESUMES: ClassVar[str] = "rows and settings"

    archs: tuple[str, ...] = ()
    """Workloads; none named are the preset's, or the built-in ones that the other flags make sense for."""
    amp: bool = False
    compile: bool = False
    compile_mode: str | None = None
    variants: tuple[str, ...] = ()
    sweeps: tuple[str, ...] = ()
    preset: str | None = None
    full_epoch: bool = False
    generations: int | None = None
    steps: int | None = None
    sequential: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("--generations", self.generations, 1)
        at_least("--steps", self.steps, 1)

    def on(self, machine: Machine, declared: Mapping[str, Sequence[Setting]]) -> BenchTask:
        """Return what that comes to on a machine.

        Args:
            declared: the workloads' own settings, by workload.

        Raises:
            UsageError: a preset, a variant or a sweep does not exist or cannot be had, a flag has a value
                that no training can have, or sets what the workload does not have.
        """
        preset = None if self.preset is None else preset_of(self.preset, machine)
        asked = self.settings if preset is None else self.settings.over(preset.settings)
        bases = [
            base_settings(machine, arch, asked, declared.get(arch, ()), seed=self.seed)
            for arch in self._workloads(preset)
        ]

        def rows_over(bases: Sequence[RunConfig]) -> tuple[RowPlan, ...]:
            if preset is not None and not self._names_rows:
                base_of = {base.arch: base for base in bases}
                return tuple(row_of(base_of[arch], text) for arch, text in preset.rows)
            return rows(bases, self._texts(), [swept(sweep) for sweep in self.sweeps])

        layout = Layout.over(bases, rows_over, declared)
        changed = () if preset is None else (preset.note,)
        return BenchTask(
            layout=layout,
            budget_s=self._budget_s(preset),
            warnings=(*changed, *warnings(machine, bases[0])),
        )

    @property
    def _names_rows(self) -> bool:
        """Whether any flag says which rows there should be."""
        named = (self.archs, self.amp, self.compile, self.compile_mode, self.variants, self.sweeps)
        return any(named)

    def _workloads(self, preset: Preset | None) -> tuple[str, ...]:
        if self.archs:
            return tuple(dict.fromkeys(self.archs))
        if preset is not None and not self._names_rows:
            return tuple(dict.fromkeys(arch for arch, _ in preset.rows))
        return BUILT_IN[:1] if self.sweeps or preset is not None else BUILT_IN

    def _texts(self) -> tuple[str, ...]:
        """The variants of the rows: precisions × {eager, compiled}, then what was asked for by name."""
        amp = self.amp or not self._names_rows
        precisions = ["fp32", "amp"] if amp else ["fp32"]
        texts = list(precisions)
        if self.compile or self.compile_mode:
            mode = f"={self.compile_mode}" if self.compile_mode else ""
            texts += [f"{precision}+compile{mode}" for precision in precisions]
        return (*texts, *self.variants)

    def _budget_s(self, preset: Preset | None) -> float | None:
        if self.budget_s is None and preset is not None and not self._names_rows:
            return preset.budget_s
        return self.budget_s


@dataclass(frozen=True, kw_only=True)
class BenchTask:
    """What a request comes to on a machine."""

    layout: Layout
    budget_s: float | None
    """What the bench may take in all; None where that goes by the number of rows."""
    warnings: tuple[Note, ...]
    """What a user should know of the settings before reading a number."""
