"""What a user asked of bench, and the base settings and rows that follow from it on a machine. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from perfkit.config import RunConfig
from perfkit.document import Note
from perfkit.engine.plan import RowPlan
from perfkit.errors import UsageError
from perfkit.study.matrix import row_of, rows, swept
from perfkit.study.presets import PRESETS, Preset
from perfkit.study.sizes import Machine, base_config

_FLAGS = {"num_threads": "threads", "memory_limit_bytes": "memory-limit"}
"""Flags that are not called like their setting."""


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


def base_settings(
    request: BenchRequest, machine: Machine, preset: Preset | None, arch: str
) -> RunConfig:
    """Return the settings that every row starts from: the machine's, then the preset's, then the flags'.

    Raises:
        UsageError: a flag has a value that no training can have.
    """
    given = {name: value for name, value in request.settings.items() if value is not None}
    settings = {**(preset.settings if preset else {}), **given}
    settings["cache_dir"] = str(cache_dir())
    settings["seed"] = request.seed
    if request.largest_batch or settings.get("memory_limit_bytes") is not None:
        # kept memory fragments: 900 samples fit into a limit one time, and 780 did not the next
        settings["malloc"] = "default"
    if "batch_size" in settings:
        settings["lr_batch_size"] = settings["batch_size"]
    unknown = settings.keys() - {f.name for f in fields(RunConfig)}
    assert not unknown, f"no such settings: {unknown}"
    try:
        return replace(base_config(machine, arch), **settings)
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        flag = _FLAGS.get(name, name.replace("_", "-"))
        raise UsageError(f"--{flag} {rest}") from error


def sized(request: BenchRequest, base: RunConfig, dataset_length: int | None) -> RunConfig:
    """Return the settings for a dataset of that length: an epoch is all of it, unless a flag says less.

    Raises:
        UsageError: more samples are asked for than there are, or a batch is more than an epoch.
    """
    asked = request.settings.get("num_samples")
    if dataset_length is not None:
        if asked is not None and asked > dataset_length:
            raise UsageError(
                f"--num-samples {asked} is more than the {dataset_length} of {base.arch}'s dataset"
            )
        base = replace(base, num_samples=asked or dataset_length)
    if base.steps_per_epoch < 1:
        raise UsageError(
            f"--batch-size {base.batch_size} is more than the {base.num_samples} samples of an epoch",
            hint="use a smaller batch, or --num-samples",
        )
    return base


def refuse_empty_epochs(planned: Sequence[RowPlan]) -> None:
    """Refuse rows whose own batch is more than an epoch: it would have to be made smaller in silence.

    Raises:
        UsageError: the first such row.
    """
    for row in planned:
        if row.config.steps_per_epoch < 1:
            raise UsageError(
                f"{row.key}: batch {row.config.batch_size} is more than the"
                f" {row.config.num_samples} samples of an epoch",
                hint="use a smaller batch, or --num-samples",
            )


def cache_dir() -> Path:
    """Where generated data lives: `PERFKIT_CACHE_DIR`, or `perfkit` in the user's cache folder."""
    named = os.environ.get("PERFKIT_CACHE_DIR")
    if named:
        return Path(named).expanduser().resolve()
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "perfkit"


def warnings(machine: Machine, base: RunConfig, preset: Preset | None) -> tuple[Note, ...]:
    """Return what a user should know of the settings before reading a number."""
    found = []
    if preset is not None:
        text = f"the preset was changed to fit this machine: {'; '.join(preset.changed)}"
        found.append(Note(code="preset_changed", text=text))
    if base.num_workers > machine.cores:
        text = (
            f"{base.num_workers} loader workers share {machine.cores} cores and queue behind each"
            " other; --variant num_workers=N shows what fewer would do"
        )
        found.append(Note(code="more_workers_than_cores", text=text))
    if base.pin_memory and not machine.device.startswith("cuda"):
        text = (
            "--pin-memory is ignored: it serves copies to a GPU, and this training runs without one"
        )
        found.append(Note(code="setting_ignored", text=text))
    return tuple(found)
