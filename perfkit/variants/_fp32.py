"""Which arithmetic FP32 matrix products and convolutions use: one reader, one writer.

Torch has two interfaces for this. The old one (`allow_tf32`, `set_float32_matmul_precision`) is all
that torch 2.6 to 2.8 have; from 2.9 on there is `fp32_precision` per operator, and once that was
written, reading the old one raises. `torch.compile` of torch 2.9 to 2.12 reads the old one
(pytorch#166387), so the writer leaves both readable and agreeing; the reader asks the new one
first, which never raises.
"""

from __future__ import annotations

import os
import warnings
from typing import Any, Literal

_LEAVES = {
    "ieee": ("cudnn.conv", "cudnn.rnn", "mkldnn.conv", "mkldnn.rnn"),
    "tf32": ("cudnn.conv", "cudnn.rnn"),
}
"""Operators of the new interface that the old one cannot reach, or cannot reach on its own."""


def effective_precision(device_type: str = "cuda") -> dict[str, str]:
    """Return what FP32 operators on a device compute in: `matmul_precision` and `conv_precision`.

    The values are `ieee`, `tf32` or `bf16` (or what a later torch calls its own), `unknown` where
    torch has no setting. On CUDA `tf32` is a permission: a GPU without TF32 units computes in IEEE
    FP32.

    Args:
        device_type: `cuda`, `cpu` or `mps`.
    """
    if device_type == "cuda":
        if os.environ.get("NVIDIA_TF32_OVERRIDE") == "0":  # wins over every setting of a framework
            return _named("ieee", "ieee")
        return _named(_cuda_matmul(), _cudnn_conv())
    if device_type == "cpu":
        return _named(_cpu_matmul(), _new("mkldnn.conv") or "ieee")
    return _named("unknown", "unknown")


def set_fp32_precision(mode: Literal["ieee", "tf32"]) -> None:
    """Make FP32 matrix products and convolutions use IEEE FP32, or allow them TF32.

    Works whatever was written before and through either interface.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 2.9 announces the end of the old interface
        torch.set_float32_matmul_precision("high" if mode == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = mode == "tf32"
    # the old interface resets these to "inherit", and what they inherit from may say otherwise
    for path in _LEAVES[mode]:
        leaf = _walk(path)
        if leaf is not None:
            leaf.fp32_precision = mode


def _named(matmul: str, conv: str) -> dict[str, str]:
    return {"matmul_precision": matmul, "conv_precision": conv}


def _cuda_matmul() -> str:
    import torch

    return _new("cuda.matmul") or ("tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee")


def _cudnn_conv() -> str:
    import torch

    return _new("cudnn.conv") or ("tf32" if torch.backends.cudnn.allow_tf32 else "ieee")


def _cpu_matmul() -> str:
    """In the old interface `medium` lets oneDNN use bfloat16; `high` changes nothing on a CPU."""
    import torch

    new = _new("mkldnn.matmul")
    if new is not None:
        return new
    return "bf16" if torch.get_float32_matmul_precision() == "medium" else "ieee"


def _new(path: str) -> str | None:
    """Read the new interface; None where this torch has none. `none` is unset, which is IEEE."""
    value = getattr(_walk(path), "fp32_precision", None)
    return None if value is None else ("ieee" if value == "none" else str(value))


def _walk(path: str) -> Any:
    """Return `torch.backends.<path>`, or None where this torch does not have it."""
    import torch

    found: Any = torch.backends
    for name in path.split("."):
        found = getattr(found, name, None)
    return found
