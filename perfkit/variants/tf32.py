"""TensorFloat-32: FP32 tensors, their products on the matrix units with a 10-bit mantissa."""

from __future__ import annotations

from typing import Any

from perfkit.variants._autocast import precision_in_force
from perfkit.variants._contract import DeviceInfo, Unsupported
from perfkit.variants._fp32 import set_fp32_precision

STAGE = "precision"
MIN_CAPABILITY = (8, 0)
"""Ampere, the first with TF32 units (NVIDIA A100 architecture whitepaper)."""


def supported(device: DeviceInfo) -> Unsupported | None:
    if device.type != "cuda":
        return Unsupported(
            f"TF32 is arithmetic of NVIDIA's matrix units; the device is {device.type}"
        )
    if device.capability is None:
        return Unsupported(f"TF32 needs an NVIDIA GPU; the device is {device.name}")
    if device.capability < MIN_CAPABILITY:
        major, minor = device.capability
        return Unsupported(f"TF32 needs CUDA capability 8.0; {device.name} has {major}.{minor}")
    return None


def apply(training: Any, value: str | None) -> None:
    set_fp32_precision("tf32")
    training.autocast_dtype = None
    training.scaler = None


def read_back(training: Any) -> dict[str, str]:
    return precision_in_force(training)
