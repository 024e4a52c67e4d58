"""Which device there is, and which settings workloads have: asked through `perfkit.training.answers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from perfkit import discovery
from perfkit.codec import to_json
from perfkit.training import contract
from perfkit.training.probe.device import device_info, environment
from perfkit.wire import Send


def survey(device: str | None, archs: Sequence[str], send: Send) -> dict[str, Any]:
    """Look at the machine, then import the workloads' files.

    Args:
        send: gets `importing` with `arch` before each workload's file.

    Returns:
        `device`, `environment`, and `settings`: by workload, a list of what `perfkit.settings.Setting` holds.

    Raises:
        UsageError: there is no such device or workload.
    """
    if device is None:
        device = _best()
    device_info(device)
    if device == "cuda":
        device = "cuda:0"
    found = environment(device)
    settings = {}
    for arch in archs:
        send("importing", arch=arch)
        module, _ = discovery.load_workload(arch)
        settings[arch] = to_json(contract.declared(arch, module))
    return {"device": device, "environment": found, "settings": settings}


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"
