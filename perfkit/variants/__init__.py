"""Variants: one change to a training each. The contract is in `_contract.py`; one that only changes
a setting is a line of `_settings.py`, or a setting that the workload declares."""

from perfkit.variants._contract import STAGES, DeviceInfo, Training, Unsupported, Variant
from perfkit.variants._grammar import (
    Pairs,
    canonical,
    configure,
    get,
    in_order,
    known,
    names,
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
    "names",
    "parse",
    "text",
]
