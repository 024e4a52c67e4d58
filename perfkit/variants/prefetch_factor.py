"""Batches each worker keeps ready: a deeper queue rides out a stall, and costs memory."""

from __future__ import annotations

from dataclasses import replace

from perfkit.config import RunConfig
from perfkit.variants._values import whole

VALUE = "N"


def normalise(value: str | None) -> str:
    return whole("prefetch_factor", value, 1)


def change(config: RunConfig, value: str) -> RunConfig:
    return replace(config, prefetch_factor=int(value))
