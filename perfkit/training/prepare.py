"""Make the data of a workload where it is not there yet: a short-lived child of the engine.

    python -m perfkit.training.prepare < config.json

It reads a RunConfig and writes JSON lines: `{"event": "progress", "done", "total", "path"}` any number
of times, then `{"event": "done", "path"}` or `{"event": "failed", "message", "hint", "exit_code"}`. A
workload's file may have `prepare(config, progress) -> path`; without one there is nothing to make.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from perfkit import discovery
from perfkit.codec import from_json
from perfkit.config import RunConfig
from perfkit.errors import PerfkitError


def main() -> None:
    """Entry point; see the module's text."""

    def tell(event: str, **values: Any) -> None:
        sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
        sys.stdout.flush()

    def progress(done: int, total: int, path: str) -> None:
        tell("progress", done=done, total=total, path=path)

    try:
        config = from_json(RunConfig, json.load(sys.stdin))
        prepare = getattr(discovery.load("workloads", config.arch), "prepare", None)
        tell("done", path=None if prepare is None else prepare(config, progress))
    except PerfkitError as error:
        tell("failed", message=error.message, hint=error.hint, exit_code=error.exit_code)


if __name__ == "__main__":
    main()
