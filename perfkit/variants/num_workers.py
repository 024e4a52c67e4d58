"""Loader worker processes: more of them hide slow decoding, until they queue for the cores."""

from __future__ import annotations

from dataclasses import replace

from perfkit.config import RunConfig
from perfkit.variants._values import whole

VALUE = "N"


def normalise(value: str | None) -> str:
    return whole("num_workers", value, 0)


def change(config: RunConfig, value: str) -> RunConfig:
    return replace(config, num_workers=int(value))
