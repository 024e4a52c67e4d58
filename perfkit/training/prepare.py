"""Make the data of a workload where it is not there yet: asked through `perfkit.training.answers`.

A workload's file may have `prepare(config, progress) -> path` and `num_samples(config)`, None where the
configuration decides. One without the second is built once, so that what its contract lacks is told before
anything is measured, and its dataset's length known: an epoch of it.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any

from perfkit import discovery
from perfkit.config import RunConfig
from perfkit.errors import PerfkitError
from perfkit.training import contract
from perfkit.training.loading import length_of
from perfkit.training.setup import make_workload
from perfkit.wire import Send


def prepare(config: RunConfig, send: Send) -> dict[str, Any]:
    """Make the data, and count its samples.

    Args:
        send: gets `progress` with `done`, `total` and `path` any number of times, then `building` with
            `path` before the workload is built.

    Returns:
        `path` and `num_samples`.

    Raises:
        UsageError: the workload or its data cannot be had.
        PerfkitError: its file failed, or there is no space or no permission.
    """

    def progress(done: int, total: int, path: str) -> None:
        send("progress", done=done, total=total, path=str(path))

    module, _ = discovery.load_workload(config.arch)
    config = contract.completed(config, module)
    make = getattr(module, "prepare", None)
    path = None if make is None else _prepared(make, config, progress)
    send("building", path=path)
    count = getattr(module, "num_samples", None)
    found = _length(config) if count is None else _own(count, "num_samples", config)
    return {"path": path, "num_samples": found}


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
    try:
        return length_of(make_workload(config))
    except PerfkitError:
        raise
    except (Exception, SystemExit):
        # its code failed, and will again in its row, which says how
        return None
