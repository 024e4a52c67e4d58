"""`python -m perfkit.training.survey`: which device there is, answered in one line and over.

Reads `{"device": NAME or null}` on stdin; answers on stdout with `{"event": "done", "device",
"environment"}` or `{"event": "failed", "message", "hint", "exit_code"}`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from perfkit.errors import PerfkitError
from perfkit.wire import die_with_parent


def main() -> None:
    """Entry point; see the module's text."""
    die_with_parent()
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        message = _survey(json.load(sys.stdin)["device"])
    except PerfkitError as error:
        message = {
            "event": "failed",
            "message": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code,
        }
    os.write(answers, json.dumps(message).encode() + b"\n")


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
