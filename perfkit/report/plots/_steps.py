"""The timed steps of a study, from the records that its training processes left."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from perfkit.records import STEPS
from perfkit.runfolder import RunFolder, StudyFolder


@dataclass(frozen=True)
class Process:
    """The timed steps of one training process, in their order."""

    generation: int
    times_s: Sequence[float]
    """On the device's clock where there is one, else the host's."""


def read(study: StudyFolder) -> dict[str, list[Process]]:
    """Return the processes of every row by its key, first generation first.

    Steps outside blocks (warm-up, edges of an epoch) are left out, and so are generations that did not
    finish; blocks that were run again are in.

    Raises:
        DamagedFile: what is there cannot be read.
        LaterVersion: a later perfkit wrote it.
    """
    keys = {str(turn["process"]): str(turn["key"]) for turn in study.baton.read()}
    found: dict[str, list[Process]] = {}
    for name, key in sorted(keys.items(), key=lambda item: _number(item[0])):
        generation = _number(name)
        if not study.generation(generation).exists():
            continue
        times_s = []
        path = RunFolder(study.path / "processes" / name).rank(0).steps
        with contextlib.suppress(FileNotFoundError):
            for record in STEPS.read(path):
                if record.block >= 0 and not math.isnan(record.own_step_s):
                    times_s.append(record.own_step_s)
        if times_s:
            found.setdefault(key, []).append(Process(generation, times_s))
    return found


def _number(process: str) -> int:
    generation = process.partition("-")[0]
    return int(generation) if generation.isdecimal() else 0
