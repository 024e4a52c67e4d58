"""Mixed precision as most scripts have it: fp16 autocast and a gradient scaler; bf16 on a CPU.

Products run on the matrix units at twice the TF32 rate and activations halve; the scaler's check
for infinities costs a synchronisation a step. What autocast leaves to FP32 is IEEE FP32. On a CPU
without bfloat16 instructions the products are emulated, and the row says so.
"""

from __future__ import annotations

from typing import Any

from perfkit.variants._autocast import bf16_arithmetic, precision_in_force
from perfkit.variants._contract import DeviceInfo, Unsupported
from perfkit.variants._fp32 import set_fp32_precision

STAGE = "precision"


def supported(device: DeviceInfo) -> Unsupported | None:
    if device.type == "mps":
        # torch 2.6 has no scaler for mps, and fp16 gradients underflow without one
        return Unsupported("fp16 with a gradient scaler is not measured on mps; try bf16")
    return None


def apply(training: Any, value: str | None) -> None:
    import torch

    set_fp32_precision("ieee")
    if training.device.type == "cuda":
        training.autocast_dtype = torch.float16
        training.scaler = torch.amp.GradScaler("cuda")
    else:
        training.autocast_dtype = torch.bfloat16
        training.scaler = None


def read_back(training: Any) -> dict[str, str]:
    return precision_in_force(training) | bf16_arithmetic(training.device.type)
