"""Samples per step: a larger batch fills the device and spreads fixed costs, and changes the training."""

from __future__ import annotations

from dataclasses import replace

from perfkit.config import RunConfig
from perfkit.variants._values import whole

VALUE = "N"


def normalise(value: str | None) -> str:
    return whole("batch_size", value, 1)


def change(config: RunConfig, value: str) -> RunConfig:
    return replace(config, batch_size=int(value))
