"""Trying whether a training fits into memory: one fresh process, a few steps, gone again."""

from __future__ import annotations

import shutil
from pathlib import Path

from perfkit.config import RunConfig
from perfkit.engine.process import Failed, TrainingProcess
from perfkit.errors import PerfkitError
from perfkit.runfolder import RunFolder

STEPS = 6
"""The second one has the optimizer's state beside the gradients; some more let memory fragment."""
OUT_OF_MEMORY = ("oom", "killed")
"""The kernel kills, and some libraries abort, where an allocation fails."""
_NO_MEMORY = {"no_memory", "killed"}
"""Reasons of what an edge of an epoch could not answer that mean the same."""


def fits(folder: Path, config: RunConfig, *, timeout_s: float, rehearse: bool) -> bool:
    """Run a few steps in a process of its own, whose folder is removed when it fits.

    Args:
        rehearse: run all that a generation runs instead: warm-up and the edges of an epoch, too.

    Raises:
        PerfkitError: it failed of something else than memory.
    """
    process = TrainingProcess(RunFolder.create(folder, config), f"batch {config.batch_size}")
    try:
        process.wait_for("ready", timeout_s, what="start")
        process.ask(timeout_s, "try", steps=STEPS)
        if rehearse:
            process.ask(timeout_s, "warm_up", seconds=0.0)
            at_edges = process.ask(timeout_s, "edges")
            if _NO_MEMORY & set(at_edges.get("unavailable", {}).values()):
                return False
    except Failed as failure:
        if failure.status in OUT_OF_MEMORY:
            return False
        raise PerfkitError(
            f"batch {config.batch_size} could not be tried: {failure.status}: {failure.message}",
            hint=f"what it printed is in {folder}",
        ) from failure
    finally:
        process.end()
    shutil.rmtree(folder, ignore_errors=True)
    return True
