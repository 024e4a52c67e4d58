"""Variants: one change to a training each, one file each. The contract is in `_contract.py`."""

from perfkit.variants._contract import STAGES, DeviceInfo, Training, Unsupported, Variant
from perfkit.variants._grammar import (
    Pairs,
    canonical,
    configure,
    get,
    in_order,
    known,
    parse,
    text,
)

__all__ = [
    "STAGES",
    "DeviceInfo",
    "Pairs",
    "Training",
    "Unsupported",
    "Variant",
    "canonical",
    "configure",
    "get",
    "in_order",
    "known",
    "parse",
    "text",
]
