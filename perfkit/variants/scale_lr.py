"""Linear learning-rate scaling: k times the batch, k times the rate (Goyal et al. 2017, arXiv:1706.02677)."""

from __future__ import annotations

from dataclasses import replace

from perfkit.config import RunConfig
from perfkit.variants._values import switch

VALUE = "0|1"


def normalise(value: str | None) -> str:
    return switch("scale_lr", value)


def change(config: RunConfig, value: str) -> RunConfig:
    if value == "0":
        return config
    scale = config.batch_size / config.lr_batch_size
    return replace(
        config, learning_rate=config.learning_rate * scale, lr_batch_size=config.batch_size
    )
