"""What the precision variants share: reading autocast back, whether a CPU has bfloat16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_CPU_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
"""Names of bfloat16 instructions in Linux's cpuinfo (x86, x86, ARM) and in torch's capabilities."""


def precision_in_force(training: Any) -> dict[str, str]:
    """Return the precision that torch reports inside the training's autocast context.

    `autocast_dtype` is `off` or a dtype, `grad_scaler` `on` or `off`, with the arithmetic that is
    left to FP32 beside them (see `effective_precision`).
    """
    from perfkit.variants._fp32 import effective_precision

    device_type = training.device.type
    return {
        "autocast_dtype": _autocast_dtype(device_type, training.autocast_dtype),
        "grad_scaler": "on" if _scales(training.scaler) else "off",
        **effective_precision(device_type),
    }


def bf16_arithmetic(device_type: str) -> dict[str, str]:
    """Say whether a CPU computes bfloat16 itself or emulates it; nothing for other devices."""
    if device_type != "cpu":
        return {}
    return {"bf16": "native" if cpu_bf16_native() else "emulated"}


def cpu_bf16_native() -> bool:
    """Whether this CPU has bfloat16 instructions; False when that cannot be found out."""
    import torch

    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:  # torch 2.11 has it, 2.6 does not
        known = capabilities()
        return any(bool(known.get(flag)) for flag in (*_CPU_FLAGS, "sve_bf16"))
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        ask = getattr(torch.cpu, name, None)
        if ask is not None and ask():
            return True
    return any(flag in _cpuinfo_flags() for flag in _CPU_FLAGS)


def _autocast_dtype(device_type: str, dtype: Any) -> str:
    if dtype is None:
        return "off"
    import torch

    with torch.autocast(device_type, dtype=dtype):
        if not torch.is_autocast_enabled(device_type):
            return "off"
        return str(torch.get_autocast_dtype(device_type)).removeprefix("torch.")


def _scales(scaler: Any) -> bool:
    return scaler is not None and bool(scaler.is_enabled())


def _cpuinfo_flags() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        name, _, values = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(values.split())
    return frozenset()
