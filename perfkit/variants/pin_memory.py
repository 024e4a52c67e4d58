"""Page-locked batches: the copy to the device runs beside its kernels instead of between them."""

from __future__ import annotations

from dataclasses import replace

from perfkit.config import RunConfig
from perfkit.variants._contract import DeviceInfo, Unsupported
from perfkit.variants._values import switch

VALUE = "0|1"


def normalise(value: str | None) -> str:
    return switch("pin_memory", value)


def change(config: RunConfig, value: str) -> RunConfig:
    return replace(config, pin_memory=value == "1")


def supported(device: DeviceInfo) -> Unsupported | None:
    if device.type == "cuda":
        return None
    return Unsupported(f"pinned memory serves copies to a GPU; the device is {device.type}")
