"""The settings that a study's processes start from: the machine's, then what was asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from perfkit.config import RunConfig
from perfkit.document import Note
from perfkit.engine.plan import RowPlan
from perfkit.errors import BadValue, UsageError
from perfkit.files import cache_dir
from perfkit.settings import Setting, Value, parsed, unknown
from perfkit.study.request import TrainingSettings
from perfkit.study.sizes import Machine, base_config

_FLAGS = {"num_threads": "threads", "memory_limit_bytes": "memory-limit"}
"""Flags that are not called like their setting."""


def base_settings(
    machine: Machine,
    arch: str,
    asked: TrainingSettings,
    declared: Sequence[Setting] = (),
    *,
    seed: int = 0,
) -> RunConfig:
    """Return the settings that every process of a workload starts from: the machine's, then those asked for.

    Args:
        declared: the workload's own settings.

    Raises:
        UsageError: a flag has a value that no training can have, or sets what the workload does not have.
    """
    base = base_config(machine, arch, declared)
    own = _own_settings(arch, asked.workload, declared)
    settings = asked.of_config()
    if "batch_size" in settings:
        settings["lr_batch_size"] = settings["batch_size"]
    if asked.largest_batch or asked.memory_limit_bytes is not None:
        # kept memory fragments: 900 samples fit into a limit one time, and 780 did not the next
        settings["malloc"] = "default"
    try:
        return replace(
            base,
            **settings,
            seed=seed,
            cache_dir=str(cache_dir()),
            workload={**base.workload, **own},
            workload_chosen=tuple(dict.fromkeys((*base.workload_chosen, *own))),
        )
    except BadValue as error:
        flag = _FLAGS.get(error.field, error.field.replace("_", "-"))
        raise UsageError(error.problem, field=f"--{flag}") from error


def _own_settings(
    arch: str, asked: Mapping[str, str], declared: Sequence[Setting]
) -> dict[str, Value]:
    by_name = {setting.name: setting for setting in declared}
    found: dict[str, Value] = {}
    for name, text in asked.items():
        if name not in by_name:
            raise unknown(arch, name, by_name)
        found[name] = parsed(name, text, by_name[name].default)
        _check(by_name[name], found[name], arch)
    return found


def refuse_out_of_bounds(
    planned: Iterable[RowPlan], declared: Mapping[str, Sequence[Setting]]
) -> None:
    """Refuse rows that give a setting of their workload's own a value that it cannot have.

    Args:
        declared: the workloads' own settings, by workload.

    Raises:
        UsageError: the first such row.
    """
    for row in planned:
        for setting in declared.get(row.arch, ()):
            _check(setting, row.config.workload[setting.name], row.key)


def _check(setting: Setting, value: Value, where: str) -> None:
    try:
        setting.check(value)
    except ValueError as error:
        raise UsageError(f"{where}: {error}", hint=f"{setting.name}: {setting.doc}") from error


def sized(base: RunConfig, dataset_length: int | None, asked: int | None) -> RunConfig:
    """Return the settings for a dataset of that length: an epoch is all of it, unless a flag says less.

    Args:
        dataset_length: None where the configuration decides.
        asked: samples that an epoch should have; None where no flag says.

    Raises:
        UsageError: more samples are asked for than there are, or a batch is more than an epoch.
    """
    if dataset_length is not None:
        if asked is not None and asked > dataset_length:
            raise UsageError(
                f"{asked} is more than the {dataset_length} of {base.arch}'s dataset",
                field="--num-samples",
            )
        base = replace(base, num_samples=asked or dataset_length)
    if base.steps_per_epoch < 1:
        raise UsageError(
            f"{base.batch_size} is more than the {base.num_samples} samples of an epoch",
            field="--batch-size",
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


def warnings(machine: Machine, base: RunConfig) -> tuple[Note, ...]:
    """Return what a user should know of the settings before reading a number."""
    found = []
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
