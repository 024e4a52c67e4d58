"""Blocks per stage: compute falls in proportion, and so may accuracy."""

from __future__ import annotations

from dataclasses import replace

from perfkit.config import RunConfig
from perfkit.variants._values import whole

VALUE = "N"


def normalise(value: str | None) -> str:
    return whole("num_blocks", value, 1)


def change(config: RunConfig, value: str) -> RunConfig:
    return replace(config, num_blocks=int(value))
