"""What a rule may look at: what was measured of one training, and the machine it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perfkit.config import RunConfig
from perfkit.document import Operator, Row, Severity
from perfkit.stats import Interval

PARTS = (
    "waiting", "transfer", "h2d", "compute", "host_launch", "sync", "communication", "contention",
    "periodic", "eval", "startup", "other",
)  # fmt: skip
"""What the time of an epoch is attributed to."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """One timed block of one arm, step by step. Seconds; on the device's clock where there is one."""

    arm: str
    """`real`, `replay` (beside idle workers) or `replay_running` (beside workers that go on)."""
    palindrome: int
    wall_s: float
    """All in: production that was deferred added, draining taken off."""
    step_s: tuple[float, ...]
    wait_s: tuple[float, ...] = ()
    """Exposed wait of each step for its batch; empty where it is unknown."""
    ready: tuple[int, ...] = ()
    """Of each step, whether its batch was ready: 1, 0, or -1 unknown."""
    lead_s: tuple[float, ...] = ()
    """How far the host was ahead of the device when each step asked for its batch; empty where unknown."""
    ahead_s: float | None = None
    """How far ahead it was at its furthest, mean over the steps that tell; None without a device."""
    phases_s: Mapping[str, float] = field(default_factory=dict)
    """Means over its steps."""
    run_delay_s: float | None = None
    """Mean seconds of a step that the trainer's thread could run and had no core."""
    workers_cpu_s: float | None = None
    """CPU seconds of the loader workers during the block."""
    disturbed: bool = False
    """Somebody else's load ran beside it."""

    @property
    def mean_step_s(self) -> float:
        """Mean seconds of a step, stalls and all."""
        return self.wall_s / max(1, len(self.step_s))


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """Where an epoch goes, and what of it could be gone."""

    epoch_s: float
    """Wall clock of an epoch, one-time costs spread over the epochs there are."""
    seconds: Mapping[str, float]
    """Exclusive seconds of it by part (`PARTS`); their sum is `epoch_s`, `other` is the residual."""
    removable_s: Mapping[str, Interval] = field(default_factory=dict)
    """By part: what the epoch would save if this one cause were gone."""
    steps: int = 0
    """Whole steps of an epoch."""
    step_s: float | None = None
    """Mean seconds of a real step."""
    not_ready_share: float | None = None
    differential_s: Mapping[str, Interval] = field(default_factory=dict)
    """Seconds a step between arms: `input` (real − replay), `contention` (replay_running − replay)."""
    replay_step_s: Interval | None = None
    """A step with its batches there and its workers idle."""
    palindromes: int = 0
    """Palindromes of arms behind the intervals."""
    coverage: float = 1.0
    """Part of the epoch that is not `other`."""
    unavailable: Mapping[str, str] = field(default_factory=dict)


FEW_TENSORS = 9
"""In a batch that is packed, as the one was that `diagnosis/remedies/pack_tensors.py` tells of."""


@dataclass(frozen=True, kw_only=True)
class LoaderFacts:
    """What making a batch takes, means per batch, times in seconds; None is what was not seen."""

    fetch_s: float | None = None
    fetch_cpu_s: float | None = None
    """The part of `fetch_s` that the fetching thread computed; the rest it was blocked."""
    collate_s: float | None = None
    collate_cpu_s: float | None = None
    handover_s: float | None = None
    """Putting a batch into the workers' queue."""
    serialise_cpu_s: float | None = None
    """What a worker's other threads computed for that."""
    tensors: float | None = None
    """Tensors in a batch, each handed over by itself."""
    busy_share: float | None = None
    """Part of their time that the workers were making batches."""
    samples_per_sec: float | None = None
    """What the loader delivers with nobody training beside it."""

    @property
    def is_packed(self) -> bool:
        """Whether a batch is known to have so few tensors that none are left to be packed."""
        return self.tensors is not None and self.tensors <= FEW_TENSORS

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
class Dispatch:
    """What operators of a step cost beside what they compute: the witnesses of a step bound by launching."""

    fixed_share: float | None = None
    """A step of two samples ÷ one of a whole batch."""
    operators_share: float | None = None
    """Operators of a step × what dispatching one costs, with gradients, ÷ the step."""


@dataclass(frozen=True, kw_only=True)
class Communication:
    """What ranks that train together wait for each other."""

    ranks: int
    step_s: Interval
    """Seconds of a mean step that every one of them waits in collectives: the least of all ranks."""
    waited_s: float
    """What the rank that is judged waits there; beyond `step_s` it is a slower rank's own cause."""
    sampled_steps: int | None = None
    """Steps that DistributedDataParallel timed, if a part of it is known from those alone."""
    needless_share: float = 0.0
    """Part of `step_s` that is reducing gradients of batches which no update follows."""
    reduces: bool = False
    """Whether DistributedDataParallel reduces gradients in it."""


@dataclass(frozen=True, kw_only=True)
class OwnWork:
    """Work of a watched script's own, in no phase of a step or in its forward."""

    share: float = 1.0
    """Part of the time that was looked at, untracked or forward, that it was seen in."""
    every_steps: int | None = None
    """Steps from one time to the next, 1 where it is in each; None where that varies, or is not by steps."""
    between_steps: bool = False
    """It is done after steps, not between epochs."""
    inner: str | None = None
    """The function, with its line, that most of it is in: `burn, common.py:5`."""
    inner_share: float | None = None
    """What `share` is of that function alone."""
    in_network: bool = False
    """Most of it is computing of a network or a layer that it calls, not of code of the user's own."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """Where no function has most of it, `share` of each `in resize, image.py:7` or `at data.py:31`."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Steps that get longer while a script trains. Seconds are of a step and what is done after it."""

    part: str
    """What grows most: `waiting`, `h2d`, `forward`, `backward`, `optimizer` or `other`."""
    part_share: float
    """What of the growth is in it."""
    first_s: float
    """A step at the beginning of what was seen."""
    last_s: float
    """A step at its end."""
    mean_s: float
    steps: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One measured row, its settings and its machine. What was not measured is None, never 0."""

    row: Row
    """The row that is judged."""
    config: RunConfig
    rows: tuple[Row, ...] = ()
    """Every row of the study, that one among them."""
    stretches: tuple[Stretch, ...] = ()
    """Its timed blocks, every arm's; empty where only means are known."""
    attribution: Attribution | None = None
    """Where its epoch goes; None before it was attributed, or where that cannot be."""
    burst: Burst | None = None
    dispatch: Dispatch | None = None
    communication: Communication | None = None
    telemetry: Mapping[str, float | None] | None = None
    """Averages over the row's measured blocks."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """The Document's."""
    lost: Mapping[str, str] = field(default_factory=dict)
    """Parts of an epoch that were not measured, with their reasons: `evaluation`, `epoch_start`, names of
    periodic work, `edges` for all of these. The row's epoch is then that of its other parts."""
    work: Mapping[str, OwnWork] = field(default_factory=dict)
    """Periodic work of a watched script, by its name in the epoch's parts."""
    untracked: Mapping[str, OwnWork] = field(default_factory=dict)
    """What was seen in the time that is in no part, the longest first, `get_batch (train.py:13)`."""
    long_forward: Mapping[str, OwnWork] = field(default_factory=dict)
    """What was seen in forwards, named alike, where they take longer than backwards; else empty."""
    making: Mapping[str, OwnWork] = field(default_factory=dict)
    """What the making of batches was seen in, in a loader worker or where the training process makes them
    itself; empty where nobody looked."""
    waited: Mapping[str, OwnWork] = field(default_factory=dict)
    """Where the training was seen to wait for a batch that another thread or process of the script makes;
    empty where a loader gives it."""
    first_making: Mapping[str, OwnWork] = field(default_factory=dict)
    """The same of the first batch of each epoch."""
    growth: Growth | None = None
    """How the steps of a watched script get longer; None where they do not."""
    attached: bool = False
    """Whether it is a script of somebody's own that was watched: nothing of it can be run once more."""

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

    @property
    def named_share(self) -> float:
        """Part of the untracked time that was seen to be in functions that have a name."""
        return min(1.0, sum(one.share for one in self.untracked.values()))

    def share_of_epoch(self, part_s: float) -> float | None:
        """Return a part of the epoch's seconds as a share of it: what rules of one's own ask for."""
        return None if self.epoch_s is None else part_s / self.epoch_s


def severity(share: float, moderate: float, high: float) -> Severity | None:
    """Return how much a share matters; None below the moderate threshold."""
    if share >= high:
        return "high"
    return "moderate" if share >= moderate else None
