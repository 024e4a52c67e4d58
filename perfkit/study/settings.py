"""The settings that a study's processes start from: the machine's, then what was asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from perfkit.config import RunConfig
from perfkit.document import Note
from perfkit.engine.plan import RowPlan
from perfkit.errors import UsageError
from perfkit.files import cache_dir
from perfkit.study.sizes import Machine, base_config

_FLAGS = {"num_threads": "threads", "memory_limit_bytes": "memory-limit"}
"""Flags that are not called like their setting."""


def base_settings(machine: Machine, arch: str, asked: Mapping[str, Any]) -> RunConfig:
    """Return the settings that every process of a workload starts from: the machine's, then those asked for.

    Args:
        asked: RunConfig fields by name.

    Raises:
        UsageError: a flag has a value that no training can have.
    """
    settings = {**asked, "cache_dir": str(cache_dir())}
    if settings.get("memory_limit_bytes") is not None:
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
