"""What every command that starts training processes can be asked: typed, and checked. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from perfkit.errors import UsageError

_NOT_OF_CONFIG = ("device", "largest_batch", "workload")
"""Settings that are no field of RunConfig by that name, or not as they stand."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of a training that were asked for; None where the machine, or the workload, decides."""

    device: str | None = None
    """As the user wrote it."""
    batch_size: int | None = None
    largest_batch: bool = False
    """Find the largest batch that fits, and use it."""
    memory_limit_bytes: int | None = None
    num_samples: int | None = None
    num_workers: int | None = None
    prefetch_factor: int | None = None
    pin_memory: bool | None = None
    persistent_workers: bool | None = None
    learning_rate: float | None = None
    epochs: int | None = None
    num_threads: int | None = None
    workload: Mapping[str, str] = field(default_factory=dict)
    """The workload's own settings by name, as text."""

    def of_config(self) -> dict[str, Any]:
        """Return those that were asked for, as fields of RunConfig."""
        names = [f.name for f in fields(self) if f.name not in _NOT_OF_CONFIG]
        found = {name: getattr(self, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def over(self, other: TrainingSettings) -> TrainingSettings:
        """Return these, and the other's where there are none."""
        return replace(other, **{k: v for k, v in vars(self).items() if v is not None})


@dataclass(frozen=True, kw_only=True)
class StudyRequest:
    """What a user asked of a command that measures.

    Raises:
        UsageError: a number is too small, or not finite.
    """

    RESUMES: ClassVar[str] = "settings"
    """What `--resume` takes from the study that it goes on with."""

    command: str
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    budget_s: float | None = None
    """What it may take in all; None where that goes by what is measured."""
    seed: int = 0
    timeout_s: float | None = None
    """How long one process may run."""

    def __post_init__(self) -> None:
        at_least("--time-budget", self.budget_s, 1)
        at_least("--timeout", self.timeout_s, 1)
        at_least("--seed", self.seed, 0)

    def refuse_beside_resume(self) -> None:
        """Refuse whatever a study that is gone on with has settled already.

        Raises:
            UsageError: something else was asked for than time.
        """
        bare = type(self)(command=self.command, budget_s=self.budget_s, timeout_s=self.timeout_s)
        if self != bare:
            raise UsageError(
                f"goes on with the {self.RESUMES} of its study: no others can be given",
                field="--resume",
                hint="beside it only --time-budget, --timeout and --json apply",
            )


def at_least(flag: str, value: float | None, least: float) -> None:
    """Refuse a number that is too small, or not finite.

    Raises:
        UsageError: it is.
    """
    if value is not None and not least <= value < math.inf:
        raise UsageError(f"is {value:g}: it should be at least {least:g}, and finite", field=flag)
