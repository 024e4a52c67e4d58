"""Settings that belong to workloads: the built-in ones' defaults, and configurations that have others."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.settings import Setting, Value

BUILT_IN: dict[str, Value] = {
    "data": "jpeg",
    "eval_samples": 256,
    "image_size": 32,
    "metrics_every": 10,
    "viz_every": 50,
    "base_channels": 64,
    "num_blocks": 4,
}
"""Of `convnext` and `baseline`."""


def having(config: RunConfig, **own: Value) -> RunConfig:
    """Return a configuration with other settings of its workload's own."""
    return replace(config, workload={**config.workload, **own})


@cache
def declared() -> dict[str, tuple[Setting, ...]]:
    """What the survey tells of the built-in workloads."""
    return {arch: discovery.load("workloads", arch).SETTINGS for arch in ("convnext", "baseline")}
