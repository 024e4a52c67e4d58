"""IEEE single precision everywhere, no TF32 and no autocast: what the others are held against."""

from __future__ import annotations

from typing import Any

from perfkit.variants._autocast import precision_in_force
from perfkit.variants._fp32 import set_fp32_precision

STAGE = "precision"


def apply(training: Any, value: str | None) -> None:
    set_fp32_precision("ieee")
    training.autocast_dtype = None
    training.scaler = None


def read_back(training: Any) -> dict[str, str]:
    return precision_in_force(training)
