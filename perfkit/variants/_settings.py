"""Settings that are variants without a file of their own: those of every training, and a workload's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.settings import parsed, unknown
from perfkit.variants._contract import DeviceInfo, Unsupported, Variant
from perfkit.variants._values import switch, whole

_WHOLE = {
    "num_workers": (
        0,
        "Loader worker processes: more of them hide slow decoding, until they queue for the cores.",
    ),
    "prefetch_factor": (
        1,
        "Batches each worker keeps ready: a deeper queue rides out a stall, and costs memory.",
    ),
    "batch_size": (
        1,
        "Samples per step: a larger batch fills the device and spreads fixed costs; it changes the training.",
    ),
    "accumulate": (
        1,
        "Batches an update: updates are N times fewer, each by the mean gradient of N batches, as of an N"
        " times larger batch in the memory of one. It changes the training as that batch would: the"
        " learning rate may have to follow.",
    ),
}
"""By name: the least value, and the change with the hypothesis it tests."""
_SWITCHES = {
    "pin_memory": (
        "Page-locked batches: the copy to the device runs beside its kernels instead of between them."
    ),
    "persistent_workers": (
        "Workers that outlive an epoch: their start is paid once and not every epoch."
    ),
}


def of_workload(name: str) -> Variant:
    """Return the variant that sets a workload's own setting; its `change` refuses one that is not there."""

    def change(config: RunConfig, value: str) -> RunConfig:
        if name not in config.workload:
            raise unknown(config.arch, name, config.workload, _known())
        own = {**config.workload, name: parsed(name, value, config.workload[name])}
        return replace(config, workload=own)

    doc = f"The workload's own setting {name}: what it changes is in the workload's file."
    return _variant(name, doc, "VALUE", lambda value: value or "", change)


def _known() -> tuple[str, ...]:
    return (*discovery.names("variants"), *TABLE)


def _of_number(name: str, least: int, doc: str) -> Variant:
    def change(config: RunConfig, value: str) -> RunConfig:
        changes: dict[str, Any] = {name: int(value)}
        return replace(config, **changes)

    return _variant(name, doc, "N", lambda value: whole(name, value, least), change)


def _of_switch(name: str, doc: str) -> Variant:
    def change(config: RunConfig, value: str) -> RunConfig:
        changes: dict[str, Any] = {name: value == "1"}
        return replace(config, **changes)

    return _variant(name, doc, "0|1", lambda value: switch(name, value), change)


def _variant(
    name: str,
    doc: str,
    value: str,
    normalise: Callable[[str | None], str | None],
    change: Callable[[RunConfig, Any], RunConfig],
) -> Variant:
    return Variant(
        name=name,
        doc=doc,
        stage="settings",
        value=value,
        value_required=True,
        normalise=normalise,
        change=change,
        supported=_for_a_gpu if name == "pin_memory" else lambda device: None,
        apply=lambda training, value: None,
        read_back=lambda training: {},
    )


def _for_a_gpu(device: DeviceInfo) -> Unsupported | None:
    if device.type == "cuda":
        return None
    return Unsupported(f"pinned memory serves copies to a GPU; the device is {device.type}")


TABLE: dict[str, Variant] = {
    **{name: _of_number(name, *row) for name, row in _WHOLE.items()},
    **{name: _of_switch(name, doc) for name, doc in _SWITCHES.items()},
}
"""Settings of every training, by name."""
