"""What a rule may look at: what was measured of one training, and the machine it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perfkit.config import RunConfig
from perfkit.document import Operator, Row, Severity
from perfkit.stats import Interval


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What a step takes when its batches come in one way: `real`, `replay_idle`, `replay_running`."""

    step_s: Interval
    steps: int
    workers_cpu_s: float | None = None
    """CPU seconds of the loader workers per step; None where they cannot be read."""
    disturbed_share: float = 0.0
    """Part of its blocks that ran beside somebody else's load."""


@dataclass(frozen=True, kw_only=True)
class LoaderFacts:
    """Where making a batch takes its time, mean seconds per batch; None is what was not seen."""

    fetch_s: float | None = None
    fetch_cpu_s: float | None = None
    """The part of `fetch_s` that the fetching thread computed; the rest it was blocked."""
    collate_s: float | None = None
    collate_cpu_s: float | None = None
    handover_s: float | None = None
    """Putting a batch into the workers' queue."""
    serialise_cpu_s: float | None = None
    """What a worker's other threads computed for that."""
    busy_share: float | None = None
    """Part of their time that the workers were making batches."""
    samples_per_sec: float | None = None
    """What the loader delivers with nobody training beside it."""

    @property
    def made_s(self) -> float | None:
        """Seconds of fetching and collating a batch; None where they were not seen."""
        return None if self.fetch_s is None else self.fetch_s + (self.collate_s or 0.0)


@dataclass(frozen=True, kw_only=True)
class Burst:
    """What a profiler saw of a few steps."""

    steps: int
    busy_share: float | None = None
    """Union of kernel time per step ÷ the step's time without the profiler."""
    launches: float | None = None
    """Kernels launched per step."""
    synchronising: Mapping[str, float] = field(default_factory=dict)
    """Calls per step that wait for the device, by file:line."""
    operators: tuple[Operator, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One measured row, its settings and its machine. What was not measured is None, never 0."""

    row: Row
    """The row that is judged."""
    config: RunConfig
    rows: tuple[Row, ...] = ()
    """Every row of the study, that one among them."""
    arms: Mapping[str, Arm] | None = None
    burst: Burst | None = None
    telemetry: Mapping[str, float | None] | None = None
    """Averages over the row's measured blocks."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """The Document's."""

    @property
    def cores(self) -> int | None:
        """CPU cores this user may use; None where unknown."""
        return self.environment.get("cores_usable")

    @property
    def on_cpu(self) -> bool:
        """Whether training and loading share the CPU's cores."""
        return self.config.device.startswith("cpu")

    @property
    def loader(self) -> LoaderFacts | None:
        """Where making a batch takes its time; None where nothing was recorded."""
        known = {n: v for n, v in self.row.loader.items() if n in LoaderFacts.__dataclass_fields__}
        return LoaderFacts(**known) if known else None

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

    @property
    def transfer_share(self) -> float | None:
        """Part of getting batches that was taking over ones that were ready; None where that is unknown."""
        waiting, transfer = (self.row.phases_s.get(n) for n in ("waiting", "transfer"))
        if waiting is None and transfer is None:
            return None
        total = (waiting or 0.0) + (transfer or 0.0)
        return (transfer or 0.0) / total if total > 0 else None

    def share_of_epoch(self, part_s: float) -> float | None:
        """Return a part of the epoch's seconds as a share of it."""
        return None if self.epoch_s is None else part_s / self.epoch_s


def severity(share: float, moderate: float, high: float) -> Severity | None:
    """Return how much a share matters; None below the moderate threshold."""
    if share >= high:
        return "high"
    return "moderate" if share >= moderate else None
