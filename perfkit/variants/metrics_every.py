"""Epochs between separation metrics: rarer metrics cost less of the mean epoch."""

from __future__ import annotations

from dataclasses import replace

from perfkit.config import RunConfig
from perfkit.variants._values import whole

VALUE = "N"


def normalise(value: str | None) -> str:
    return whole("metrics_every", value, 0)


def change(config: RunConfig, value: str) -> RunConfig:
    return replace(config, metrics_every=int(value))
