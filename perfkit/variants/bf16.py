"""Mixed precision in bfloat16: twice the TF32 rate, half the activations, and no scaler needed.

What autocast leaves to FP32 is IEEE FP32. On a CPU without bfloat16 instructions the products are
emulated, and the row says so.
"""

from __future__ import annotations

from typing import Any

from perfkit.variants._autocast import bf16_arithmetic, precision_in_force
from perfkit.variants._contract import DeviceInfo, Unsupported
from perfkit.variants._fp32 import set_fp32_precision

STAGE = "precision"


def supported(device: DeviceInfo) -> Unsupported | None:
    if device.type == "cpu" or device.bf16_native:
        return None
    if device.type == "mps":
        return Unsupported("bfloat16 on mps needs macOS 14")
    return Unsupported(f"{device.name} has no bfloat16 units (CUDA capability 8.0 has); try amp")


def apply(training: Any, value: str | None) -> None:
    import torch

    set_fp32_precision("ieee")
    training.autocast_dtype = torch.bfloat16
    training.scaler = None


def read_back(training: Any) -> dict[str, str]:
    return precision_in_force(training) | bf16_arithmetic(training.device.type)
