"""Make the data of a workload where it is not there yet: a short-lived child of the engine.

    python -m perfkit.training.prepare < config.json

It reads a RunConfig and writes JSON lines: `{"event": "progress", "done", "total", "path"}` any number
of times, then `{"event": "done", "path", "num_samples"}` or `{"event": "failed", "message", "hint",
"exit_code"}`. A workload's file may have `prepare(config, progress) -> path`; one without is built once
instead, so that what its contract lacks is told before anything is measured, and its dataset's length
known: an epoch of it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from perfkit import discovery
from perfkit.codec import from_json
from perfkit.config import RunConfig
from perfkit.errors import PerfkitError


def main() -> None:
    """Entry point; see the module's text."""

    # what a workload prints goes to stderr, and cannot run into an answer
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(event: str, **values: Any) -> None:
        answers.write(json.dumps({"event": event, **values}) + "\n")
        answers.flush()

    def progress(done: int, total: int, path: str) -> None:
        tell("progress", done=done, total=total, path=path)

    try:
        config = from_json(RunConfig, json.load(sys.stdin))
        module, _ = discovery.load_workload(config.arch)
        prepare = getattr(module, "prepare", None)
        if prepare is None:
            tell("done", path=None, num_samples=_length(config))
        else:
            tell("done", path=prepare(config, progress), num_samples=None)
    except PerfkitError as error:
        tell("failed", message=error.message, hint=error.hint, exit_code=error.exit_code)


def _length(config: RunConfig) -> int | None:
    from perfkit.training.setup import make_workload

    try:
        return len(make_workload(config).dataset)  # type: ignore[arg-type]
    except PerfkitError:
        raise
    except Exception:
        # its code failed, and will again in its row, which says how
        return None


if __name__ == "__main__":
    main()
