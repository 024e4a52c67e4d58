"""Make the data of a workload where it is not there yet: a short-lived child of the engine.

    python -m perfkit.training.prepare < config.json

It reads a RunConfig and writes JSON lines: `{"event": "progress", "done", "total", "path"}` any number
of times, `{"event": "building", "path"}` before the workload is built, then `{"event": "done", "path",
"num_samples"}` or `{"event": "failed", "message", "hint", "exit_code"}`. A workload's file may have
`prepare(config, progress) -> path` and `num_samples(config)`, None where the configuration decides. One
without the second is built once, so that what its contract lacks is told before anything is measured,
and its dataset's length known: an epoch of it.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from perfkit import discovery
from perfkit.codec import from_json
from perfkit.config import RunConfig
from perfkit.errors import PerfkitError, UsageError
from perfkit.training import contract
from perfkit.wire import die_with_parent


def main() -> None:
    """Entry point; see the module's text."""

    die_with_parent()
    # what a workload prints goes to stderr, and cannot run into an answer
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(event: str, **values: Any) -> None:
        answers.write(json.dumps({"event": event, **values}) + "\n")
        answers.flush()

    def progress(done: int, total: int, path: str) -> None:
        tell("progress", done=done, total=total, path=str(path))

    try:
        config = _asked()
        module, _ = discovery.load_workload(config.arch)
        config = contract.completed(config, module)
        prepare = getattr(module, "prepare", None)
        path = None if prepare is None else _prepared(prepare, config, progress)
        tell("building", path=path)
        count = getattr(module, "num_samples", None)
        found = _length(config) if count is None else _own(count, "num_samples", config)
        tell("done", path=path, num_samples=found)
    except PerfkitError as error:
        tell("failed", message=error.message, hint=error.hint, exit_code=error.exit_code)


def _asked() -> RunConfig:
    try:
        question = json.load(sys.stdin)
    except ValueError as error:
        raise UsageError(f"what was asked is not JSON: {error}") from error
    return from_json(RunConfig, question)


def _prepared(prepare: Callable[..., Any], config: RunConfig, progress: Any) -> str | None:
    def decoded(config: RunConfig, progress: Any) -> str | None:
        path = prepare(config, progress)
        return None if path is None else os.fsdecode(path)

    found: str | None = _own(decoded, "prepare", config, progress)
    return found


def _own(function: Callable[..., Any], name: str, config: RunConfig, *arguments: Any) -> Any:
    """Call a function of the workload's file; what goes wrong in it is told as its own."""
    try:
        return function(config, *arguments)
    except PerfkitError:
        raise
    except (Exception, SystemExit) as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise PerfkitError(
            f"workload {config.arch}: its {name} failed: {type(error).__name__}: {error}",
            hint=f"it was raised in {frame.filename}, line {frame.lineno}",
        ) from error


def _length(config: RunConfig) -> int | None:
    from perfkit.training.loading import length_of
    from perfkit.training.setup import make_workload

    try:
        return length_of(make_workload(config))
    except PerfkitError:
        raise
    except (Exception, SystemExit):
        # its code failed, and will again in its row, which says how
        return None


if __name__ == "__main__":
    main()
