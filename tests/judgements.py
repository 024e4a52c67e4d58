"""Judgements of evidence made by hand: an epoch of 100 steps of batch 16, on two cores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evidences import CONFIG, blocks, evidence

from perfkit.config import RunConfig
from perfkit.diagnosis.attribution import attribute
from perfkit.diagnosis.evidence import Stretch
from perfkit.diagnosis.judge import Judgement, judge

TRAINING = replace(CONFIG, num_samples=1600, num_workers=2)
"""100 steps of batch 16."""

COMPUTE = {"forward": 0.04, "backward": 0.06}


def judged(
    *stretches: Stretch, config: RunConfig = TRAINING, cores: int | None = 2, **row: Any
) -> Judgement:
    """What the judge says of such an epoch: by these blocks, and these fields of its row."""
    fields: dict[str, Any] = {"epoch_parts_s": {"steps": 10.0}, "phases_s": COMPUTE, **row}
    made = replace(evidence(config, cores, **fields), stretches=stretches)
    return judge(replace(made, attribution=attribute(made)))


def arms(
    real_s: float = 0.1,
    idle_s: float = 0.1,
    running_s: float | None = None,
    *,
    waits: tuple[float, ...] = (),
    ready: int = 1,
    **told: Any,
) -> list[Stretch]:
    """Six palindromes of arms."""
    return [
        *blocks("real", real_s, waits=waits, ready=ready, **told),
        *blocks("replay", idle_s),
        *blocks("replay_running", idle_s if running_s is None else running_s),
    ]


def waiting(wait_s: float, of_s: float = 0.1, *, ready: bool = False) -> dict[str, Any]:
    """A row whose steps wait so long."""
    name = "transfer" if ready else "waiting"
    return {"exposed_wait_s": wait_s, "phases_s": {name: wait_s, "forward": of_s - wait_s}}
