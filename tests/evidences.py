"""Evidence made by hand: an epoch of 100 steps of 0.1 s, with whatever a test adds to it.

`planted` makes that of a whole diagnosis, from what a training costs: a small model of loader and trainer on
so many cores, every number of it exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from own_settings import BUILT_IN

from perfkit.config import RunConfig
from perfkit.diagnosis.attribution import attribute
from perfkit.diagnosis.evidence import Burst, Dispatch, Evidence, Stretch
from perfkit.document import Row

CONFIG = RunConfig(arch="convnext", num_samples=1600, num_workers=1, workload=BUILT_IN)
"""An epoch of 100 steps."""
STEPS = 10
"""Of a block."""


def evidence(config: RunConfig = CONFIG, cores: int | None = 2, **changes: Any) -> Evidence:
    """Evidence of a row that waits for nothing and does nothing between its steps."""
    values: dict[str, Any] = {
        "status": "ok",
        "epoch_parts_s": {"steps": 10.0},
        "phases_s": {"data_wait": 0.0, "forward": 0.04, "backward": 0.06},
        "exposed_wait_s": 0.0,
    }
    row = Row(key="convnext/fp32", arch="convnext", variant="fp32", **(values | changes))
    return Evidence(row=row, config=config, environment={"cores_usable": cores})


def blocks(
    arm: str,
    step_s: float,
    *,
    waits: tuple[float, ...] = (),
    ready: int = 1,
    palindromes: int = 6,
    **told: Any,
) -> list[Stretch]:
    """Palindromes of two blocks of ten equal steps."""
    waits = waits or (0.0,) * STEPS
    return [
        Stretch(
            arm=arm,
            palindrome=number // 2,
            wall_s=STEPS * step_s,
            step_s=(step_s,) * STEPS,
            wait_s=waits,
            ready=(ready,) * STEPS,
            **told,
        )
        for number in range(2 * palindromes)
    ]


def spread(stretches: list[Stretch], by: float) -> tuple[Stretch, ...]:
    """The same blocks, longer in every second palindrome and shorter in the others: a wider interval."""
    factors = [1 - by if s.palindrome % 2 else 1 + by for s in stretches]
    return tuple(
        replace(s, wall_s=s.wall_s * f, step_s=tuple(t * f for t in s.step_s))
        for s, f in zip(stretches, factors, strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class Plant:
    """What a training costs, seconds of a batch unless said otherwise."""

    compute_s: float = 0.03
    storage_s: float = 0.0
    """A worker is blocked."""
    decode_s: float = 0.002
    """A worker computes."""
    collate_s: float = 0.0005
    hand_s: float = 0.0005
    """Taking a batch over that is there."""
    spinning_s: float = 0.0
    """What threads that spin take from the trainer, if there are workers."""
    stall_s: float = 0.0
    """One long wait in every tenth step."""
    gap_s: float = 0.0
    """In no phase."""
    h2d_s: float = 0.0
    """On a GPU only, as the next three."""
    idle_s: float = 0.0
    """The device has nothing to do."""
    calls: dict[str, float] = field(default_factory=dict)
    """Synchronising ones of a step."""
    communication_s: float = 0.0
    parts_s: dict[str, float] = field(default_factory=dict)
    """Of an epoch: `evaluation`, `metrics`, `epoch_start` …"""
    startup_s: dict[str, float] = field(default_factory=dict)
    dispatch: Dispatch | None = None
    telemetry: dict[str, float | None] | None = None
    palindromes: int = 6
    kernel: bool = True
    """Whether run delay can be read."""
    disturbed: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


def planted(plant: Plant, workers: int, *, cores: int = 2, cuda: bool = False) -> Evidence:
    """Attributed evidence of a diagnosis; the trainer has one thread.

    Where workers and trainer want more cores than there are, all of them are slower by as much.
    """
    config = replace(
        CONFIG, num_workers=workers, devices=("cuda:0" if cuda else "cpu",), **plant.settings
    )
    side_s = plant.compute_s + plant.gap_s
    side_s += plant.h2d_s + plant.idle_s + plant.communication_s if cuda else 0.0
    computes_s = plant.decode_s + plant.collate_s
    whole_s = plant.storage_s + computes_s
    wanted = (
        workers * min(1.0, whole_s / (workers * side_s)) * computes_s / whole_s if workers else 0
    )
    slower = max(1.0, (1 + wanted) / cores) if workers else 1.0
    contention_s = (plant.spinning_s if workers else 0.0) + plant.compute_s * (slower - 1)
    made_s = plant.storage_s + computes_s * slower
    hand_s = plant.hand_s if workers else 0.0
    training_s = side_s + contention_s + hand_s
    late_s = max(0.0, made_s / workers - training_s) if workers else made_s
    step_s = training_s + late_s + plant.stall_s / STEPS
    waits = (late_s + plant.stall_s, *(late_s,) * (STEPS - 1)) if late_s or plant.stall_s else ()
    waits = waits or (hand_s,) * STEPS
    ready = 0 if late_s or plant.stall_s else 1
    phases = {
        "waiting": 0.0 if ready else sum(waits) / STEPS,
        "transfer": hand_s if ready else 0.0,
        "h2d": plant.h2d_s if cuda else 0.0,
        "forward": 0.4 * (plant.compute_s + contention_s),
        "backward": 0.6 * (plant.compute_s + contention_s) + (plant.idle_s if cuda else 0.0),
        **({"communication": plant.communication_s} if cuda and plant.communication_s else {}),
    }
    phases["other"] = step_s - sum(phases.values())
    if not plant.gap_s and not ready:
        # handing over is part of the wait for a batch that was late
        phases["waiting"] += phases["other"]
        waits = tuple(w + phases["other"] for w in waits)
        phases["other"] = 0.0
    loader = {
        "fetch_s": plant.storage_s + plant.stall_s / STEPS + plant.decode_s * slower,
        "fetch_cpu_s": plant.decode_s,
        "collate_s": plant.collate_s * slower,
        "collate_cpu_s": plant.collate_s,
        "samples_per_sec": 16 * max(1, workers) / whole_s,
    }
    if workers:
        loader["busy_share"] = min(1.0, (made_s + plant.stall_s / STEPS) / (workers * step_s))
    made = evidence(
        config,
        cores,
        epoch_parts_s={"steps": 100 * step_s, **plant.parts_s},
        phases_s=phases,
        phases_clock="device" if cuda else "host",
        exposed_wait_s=sum(waits) / STEPS,
        not_ready_share=1.0 - ready,
        loader=loader,
        startup_s=plant.startup_s,
    )
    used_s = computes_s * STEPS if workers else 0.0
    delay_s = contention_s if plant.kernel else None
    told: dict[str, Any] = {"palindromes": plant.palindromes, "disturbed": plant.disturbed}
    real = blocks(
        "real",
        step_s,
        waits=waits,
        ready=ready,
        run_delay_s=delay_s,
        workers_cpu_s=used_s,
        **told,
    )
    arms = [*real, *blocks("replay", side_s, run_delay_s=0.0 if plant.kernel else None, **told)]
    if workers:
        arms += blocks("replay_running", side_s + contention_s, workers_cpu_s=used_s, **told)
    busy = 1 - (late_s + plant.stall_s / STEPS + hand_s + plant.h2d_s + plant.idle_s) / step_s
    burst = Burst(steps=5, busy_share=busy, launches=900.0, synchronising=plant.calls)
    made = replace(
        made,
        stretches=tuple(arms),
        burst=burst if cuda else None,
        dispatch=plant.dispatch,
        telemetry=plant.telemetry,
    )
    return replace(made, attribution=attribute(made))
