"""Channels of the first stage: compute falls with their square, and so may accuracy."""

from __future__ import annotations

from dataclasses import replace

from perfkit.config import RunConfig
from perfkit.variants._values import whole

VALUE = "N"


def normalise(value: str | None) -> str:
    return whole("base_channels", value, 1)


def change(config: RunConfig, value: str) -> RunConfig:
    return replace(config, base_channels=int(value))
