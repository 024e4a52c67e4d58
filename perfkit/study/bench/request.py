"""What a user asked of bench, and the settings and rows that follow from it on a machine. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from perfkit.config import RunConfig
from perfkit.document import Note
from perfkit.engine.plan import RowPlan
from perfkit.errors import UsageError
from perfkit.study.bench.presets import PRESETS, Preset
from perfkit.study.matrix import row_of, rows, swept
from perfkit.study.settings import base_settings, warnings
from perfkit.study.sizes import Machine


@dataclass(frozen=True, kw_only=True)
class BenchRequest:
    """What a user asked of bench."""

    command: str
    archs: tuple[str, ...] = ()
    """Workloads; none named are the preset's, or the built-in ones that the other flags make sense for."""
    amp: bool = False
    compile: bool = False
    compile_mode: str | None = None
    variants: tuple[str, ...] = ()
    sweeps: tuple[str, ...] = ()
    preset: str | None = None
    device: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    """RunConfig fields that the plain flags set, for all rows; None where a flag was not given."""
    largest_batch: bool = False
    """Find the largest batch that fits, and use it."""
    full_epoch: bool = False
    budget_s: float | None = None
    generations: int | None = None
    steps: int | None = None
    seed: int = 0
    sequential: bool = False

    @property
    def names_rows(self) -> bool:
        """Whether any flag says which rows there should be."""
        return bool(
            self.archs
            or self.amp
            or self.compile
            or self.compile_mode
            or self.variants
            or self.sweeps
        )

    def workloads(self, preset: Preset | None) -> tuple[str, ...]:
        """The workloads of the rows."""
        if self.archs:
            return tuple(dict.fromkeys(self.archs))
        if preset is not None and not self.names_rows:
            return tuple(dict.fromkeys(arch for arch, _ in preset.rows))
        return ("convnext",) if self.sweeps or preset is not None else ("convnext", "baseline")

    def texts(self) -> tuple[str, ...]:
        """The variants of the rows: precisions × {eager, compiled}, then what was asked for by name."""
        amp = self.amp or not self.names_rows
        precisions = ["fp32", "amp"] if amp else ["fp32"]
        texts = list(precisions)
        if self.compile or self.compile_mode:
            mode = f"={self.compile_mode}" if self.compile_mode else ""
            texts += [f"{precision}+compile{mode}" for precision in precisions]
        return (*texts, *self.variants)

    def rows(self, bases: Sequence[RunConfig], preset: Preset | None) -> tuple[RowPlan, ...]:
        """Lay the rows out over the base settings of each workload.

        Raises:
            UsageError: a variant or a sweep does not exist or cannot be had.
        """
        if preset is not None and not self.names_rows:
            base_of = {base.arch: base for base in bases}
            return tuple(row_of(base_of[arch], text) for arch, text in preset.rows)
        return rows(bases, self.texts(), [swept(sweep) for sweep in self.sweeps])


def chosen_preset(request: BenchRequest, machine: Machine) -> Preset | None:
    """Return the preset that was asked for, made for the machine.

    Raises:
        UsageError: there is none of that name.
    """
    if request.preset is None:
        return None
    if request.preset not in PRESETS:
        raise UsageError(
            f"unknown preset {request.preset!r}", hint=f"one of: {', '.join(sorted(PRESETS))}"
        )
    return PRESETS[request.preset](machine)


def settings_of(
    request: BenchRequest, machine: Machine, preset: Preset | None, arch: str
) -> RunConfig:
    """Return the settings that every row starts from: the machine's, then the preset's, then the flags'.

    Raises:
        UsageError: a flag has a value that no training can have.
    """
    given = {name: value for name, value in request.settings.items() if value is not None}
    asked = {**(preset.settings if preset else {}), **given, "seed": request.seed}
    if request.largest_batch:
        # as under a memory limit: kept memory fragments, and what fits would change from run to run
        asked["malloc"] = "default"
    return base_settings(machine, arch, asked)


def warnings_of(machine: Machine, base: RunConfig, preset: Preset | None) -> tuple[Note, ...]:
    """Return what a user should know of the settings before reading a number."""
    if preset is None:
        return warnings(machine, base)
    text = f"the preset was changed to fit this machine: {'; '.join(preset.changed)}"
    return (Note(code="preset_changed", text=text), *warnings(machine, base))
