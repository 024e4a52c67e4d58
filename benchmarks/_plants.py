"""The planted jobs of `planted.py`: what each verdict should be, how one is calibrated and run.

A job and its ablation, the same training without its plant, are two processes of one generation: their
blocks take turns, so that what the plant costs is measured in the same minutes as its diagnosis.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from plugins.workloads.planted import BATCH, JOBS, Job

from perfkit.config import RunConfig
from perfkit.engine.executor import Executor
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.results import GenerationResult, ProcessResult
from perfkit.errors import PerfkitError
from perfkit.runfolder import StudyFolder
from perfkit.stats import Interval, mean_interval, median
from perfkit.study.diagnose.plan import DiagnosePlan
from perfkit.study.forecast import epoch_parts_s, mean_step_s, real_blocks

FILE = Path(__file__).parent / "plugins" / "workloads" / "planted.py"
BLOCK_S = 0.2
"""Half of what `perfkit diagnose` has: its blocks share the time with those of the ablation."""
WARM_UP_S = 1.0
LOAD_S = 1.0
BUDGET_S = 60.0
SHORT_S = 0.5
"""What the blocks of a job may take that is too short to tell: there is room for no arm but the real one."""
TIMEOUT_S = 120.0
FEW, MANY = 8, 40
"""Layers between which a layer is timed."""
SETTINGS: dict[str, Any] = {
    "batch_size": BATCH,
    "num_samples": 4096,
    "num_threads": 1,
    "epochs": 100,
    # nothing has to be learnt
    "learning_rate": 1e-6,
}
SPINNING = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: sum(range(100_000))"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a job's verdict should be."""

    kinds: tuple[str, ...]
    """Any of them is right; the first one is what was planted."""
    stage: str | None = None
    flag: str | None = None
    workers: int | None = None
    """`workers_needed`."""
    ablated: bool = True
    """Whether there is a job without its plant to hold it against."""


EXPECTED = {
    "slow_storage": Expected(kinds=("input_bound",), stage="storage"),
    "slow_decode": Expected(kinds=("input_bound",), stage="decode"),
    "heavy_collate": Expected(kinds=("input_bound",), stage="collate"),
    "many_tensors": Expected(kinds=("input_bound",), stage="transfer"),
    "too_few_workers_1_5": Expected(
        kinds=("input_bound",), stage="storage", flag="too_few_workers", workers=2
    ),
    "too_few_workers_2_5": Expected(
        kinds=("input_bound",), stage="storage", flag="too_few_workers", workers=3
    ),
    "too_few_workers_3_5": Expected(
        kinds=("input_bound",), stage="storage", flag="too_few_workers", workers=4
    ),
    "fighting": Expected(kinds=("contended",)),
    "tiny_operators": Expected(kinds=("host_bound",)),
    "heavy_model": Expected(kinds=("compute_bound",), ablated=False),
    "slow_metrics": Expected(kinds=("periodic_bound",), stage="metrics"),
    "slow_evaluation": Expected(kinds=("periodic_bound",), stage="evaluation"),
    "respawned_workers": Expected(kinds=("startup_bound",), stage="worker_start"),
    # the loader is innocent: which of these two it is depends on what it delivers alone
    "prefetched": Expected(kinds=("compute_bound", "balanced")),
    "long_stall": Expected(kinds=("input_bound",)),
    "foreign_load": Expected(kinds=("inconclusive",), ablated=False),
    "balanced": Expected(kinds=("balanced", "compute_bound")),
    # its few blocks may agree by chance; then what they say is true
    "too_short": Expected(kinds=("inconclusive", "contended"), ablated=False),
}


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What computing a step takes on this machine, in seconds: `fixed_s` + layers × `layer_s`."""

    fixed_s: float
    layer_s: float
    disturbed: bool = False
    """Somebody else's load ran beside it."""

    @classmethod
    def between(cls, few: tuple[int, float], many: tuple[int, float]) -> Calibration:
        """Draw the line through two numbers of layers and their steps.

        Raises:
            PerfkitError: more layers do not take longer.
        """
        layer_s = (many[1] - few[1]) / (many[0] - few[0])
        if layer_s <= 0:
            raise PerfkitError(
                f"{many[0]} layers took no longer than {few[0]}: {many[1]:.4f} and {few[1]:.4f} s",
                hint="run it when the machine is quiet",
            )
        return cls(fixed_s=max(0.0, few[1] - few[0] * layer_s), layer_s=layer_s)

    def layers(self, step_s: float) -> int:
        """Return the layers with which computing a step comes nearest to `step_s`, at least one."""
        return max(1, round((step_s - self.fixed_s) / self.layer_s))


@dataclass(frozen=True, kw_only=True)
class Run:
    """One diagnosed job, as it is kept: what was measured, and nothing that was said of it."""

    job: str
    row: RowPlan
    environment: dict[str, Any]
    result: GenerationResult
    """Of the job's own process."""
    true_share: Interval | None
    """Part of the epoch that its plant takes, by ablation; the interval is over palindromes."""
    seconds: float
    created: str


def job(name: str) -> Job:
    """Return a job, or the job without its plant for `NAME_off`."""
    found = JOBS[name.removesuffix("_off")]
    return found.without() if name.endswith("_off") else found


def row(name: str, config: RunConfig, layers: int) -> RowPlan:
    """Return what runs a job with so many layers."""
    own = {"num_blocks": layers, **job(name).own}
    changes = {**SETTINGS, **job(name).settings, "workload": own}
    settings = replace(config, arch=f"{FILE}:{name}", **changes)
    return RowPlan(key=name, arch=name, variant="fp32", config=settings)


def rows(name: str, config: RunConfig, calibration: Calibration) -> tuple[RowPlan, ...]:
    """Return the job that is diagnosed, and its ablation where it has one."""
    layers = 1 if job(name).sleeps else calibration.layers(job(name).step_s)
    names = (name, f"{name}_off") if EXPECTED[name].ablated else (name,)
    return tuple(row(each, config, layers) for each in names)


def calibrated(config: RunConfig, *, small: bool = False) -> Calibration:
    """Time a training without plants with few and with many layers, in turns.

    A step is that of the quickest block: what computing takes with nothing beside it.

    Raises:
        PerfkitError: it failed.
    """
    planned = [replace(row("plain", config, n), key=f"plain/{n}") for n in (FEW, MANY)]
    plan = GenerationPlan(
        number=1,
        group=0,
        rows=tuple(planned),
        palindromes=1 if small else 3,
        warm_up_s=0.1 if small else 0.5,
        block_s=0.05 if small else BLOCK_S,
        edges=False,
    )
    result = _run(plan)
    blocks = [real_blocks([_of(result, one.key)]) for one in planned]
    steps = [min(median(block.step_times_s) for block in each) for each in blocks]
    disturbed = any(block.disturbed for each in blocks for block in each)
    found = Calibration.between((FEW, steps[0]), (MANY, steps[1]))
    return replace(found, disturbed=disturbed)


def measured(
    planned: Sequence[RowPlan], environment: Mapping[str, Any], *, small: bool = False
) -> Run:
    """Diagnose a job beside its ablation.

    Raises:
        PerfkitError: one of them failed.
    """
    began = time.monotonic()
    name = planned[0].key
    with foreign_load(environment.get("cores_usable") or 1, wanted=name == "foreign_load"):
        result = _run(plan(planned, small=small))
    process = _of(result, name)
    true_share = None
    if len(planned) > 1:
        without = _of(result, planned[1].key)
        true_share = share_of_plant((process, planned[0].config), (without, planned[1].config))
    return Run(
        job=name,
        row=planned[0],
        environment=dict(environment),
        result=replace(result, processes=(process,)),
        true_share=true_share,
        seconds=time.monotonic() - began,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def plan(planned: Sequence[RowPlan], *, small: bool = False) -> GenerationPlan:
    """Return what `perfkit diagnose` runs, in shorter blocks, and with the ablation in it."""
    found = DiagnosePlan(rows=(planned[0],), base=planned[0].config).next([], BUDGET_S)
    assert found is not None
    found = replace(found, rows=tuple(planned), block_s=BLOCK_S, warm_up_s=WARM_UP_S, load_s=LOAD_S)
    if planned[0].key == "too_short":
        found = replace(found, most_s=SHORT_S)
    if small:
        found = replace(
            found, palindromes=1, block_s=0.05, warm_up_s=0.2, load_s=0.1, profile=False
        )
    return found


def share_of_plant(
    planted: tuple[ProcessResult, RunConfig], without: tuple[ProcessResult, RunConfig]
) -> Interval:
    """Return 1 − epoch without ÷ epoch with, its interval over the palindromes in which both had blocks.

    Raises:
        PerfkitError: one of them has no epoch.
    """
    whole = [_epochs_s(process, config) for process, config in (planted, without)]
    numbers = [n for n in whole[0] if n is not None and n in whole[1]]
    shares = [1 - whole[1][number] / whole[0][number] for number in numbers]
    value = 1 - whole[1][None] / whole[0][None]
    spread = mean_interval(shares)
    if spread.low is None or spread.high is None:
        return Interval(value)
    return Interval(value, min(spread.low, value), max(spread.high, value))


def _epochs_s(process: ProcessResult, config: RunConfig) -> dict[int | None, float]:
    """An epoch's seconds by the steps of each palindrome, and (None) by those of all."""
    parts = epoch_parts_s(process, config)
    if parts is None:
        raise PerfkitError(f"{process.key} has no epoch: {process.lost}")
    blocks = real_blocks([process])
    found: dict[int | None, float] = {None: sum(parts.values())}
    for number in {block.palindrome for block in blocks}:
        step_s = mean_step_s([block for block in blocks if block.palindrome == number])
        found[number] = found[None] - parts["steps"] + config.steps_per_epoch * step_s
    return found


@contextlib.contextmanager
def foreign_load(cores: int, *, wanted: bool) -> Iterator[list[int]]:
    """Somebody else's processes keep all cores but one busy for as long as this lasts; gives their ids."""
    count = max(1, cores - 1) if wanted else 0
    command = [sys.executable, "-c", SPINNING]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    started = [subprocess.Popen(command, **quiet) for _ in range(count)]  # type: ignore[call-overload]
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()


def _run(plan: GenerationPlan) -> GenerationResult:
    with tempfile.TemporaryDirectory() as folder:
        study = StudyFolder.create("benchmark", root=Path(folder))
        with Executor(study, timeout_s=TIMEOUT_S, emit=lambda event: None) as executor:
            return executor.run(plan)


def _of(result: GenerationResult, key: str) -> ProcessResult:
    process = result.process(key)
    if process is None or process.status != "ok":
        why = "it is missing" if process is None else f"{process.status}: {process.message}"
        raise PerfkitError(f"{key} failed: {why}")
    return process
