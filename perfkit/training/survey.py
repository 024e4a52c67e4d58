"""`python -m perfkit.training.survey`: which device there is, and which settings workloads have.

Reads `{"device": NAME or null, "archs": [NAME, …]}` on stdin. Answers on stdout with JSON lines: `{"event":
"importing", "arch"}` before each workload's file, then `{"event": "done", "device", "environment",
"settings"}`, the last by workload a list of what `perfkit.settings.Setting` holds, or `{"event": "failed",
"message", "hint", "exit_code"}`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from perfkit import discovery
from perfkit.codec import to_json
from perfkit.errors import PerfkitError
from perfkit.wire import die_with_parent


def main() -> None:
    """Entry point; see the module's text."""
    die_with_parent()
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        asked = json.load(sys.stdin)
        message = _survey(asked["device"])
        message["settings"] = {arch: _settings(arch, answers) for arch in asked["archs"]}
    except PerfkitError as error:
        message = {
            "event": "failed",
            "message": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code,
        }
    _tell(answers, message)


def _tell(answers: int, message: dict[str, Any]) -> None:
    os.write(answers, json.dumps(message).encode() + b"\n")


def _settings(arch: str, answers: int) -> Any:
    from perfkit.training import contract

    _tell(answers, {"event": "importing", "arch": arch})
    module, _ = discovery.load_workload(arch)
    return to_json(contract.declared(arch, module))


def _survey(device: str | None) -> dict[str, Any]:
    import torch

    from perfkit.training.probe.device import device_info, environment

    if device is None:
        device = _best(torch)
    device_info(device)
    if device == "cuda":
        device = "cuda:0"
    return {"event": "done", "device": device, "environment": environment(device)}


def _best(torch: Any) -> str:
    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"


if __name__ == "__main__":
    main()
