"""Epochs between embedding plots: rarer plots cost less of the mean epoch."""

from __future__ import annotations

from dataclasses import replace

from perfkit.config import RunConfig
from perfkit.variants._values import whole

VALUE = "N"


def normalise(value: str | None) -> str:
    return whole("viz_every", value, 0)


def change(config: RunConfig, value: str) -> RunConfig:
    return replace(config, viz_every=int(value))
