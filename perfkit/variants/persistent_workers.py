"""Workers that outlive an epoch: their start is paid once and not every epoch."""

from __future__ import annotations

from dataclasses import replace

from perfkit.config import RunConfig
from perfkit.variants._values import switch

VALUE = "0|1"


def normalise(value: str | None) -> str:
    return switch("persistent_workers", value)


def change(config: RunConfig, value: str) -> RunConfig:
    return replace(config, persistent_workers=value == "1")
