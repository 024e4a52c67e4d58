"""Study folders made by hand for the tests of reports: a Document and steps of exact lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

from perfkit import documentfile as documents
from perfkit.document import Document
from perfkit.records import NAN, STEPS, UNKNOWN, StepRecord
from perfkit.runfolder import RunFolder, StudyFolder, write_json

Times = Mapping[str, Sequence[Sequence[float]]]
"""By row key, of every generation the times of its steps in seconds."""


def step(index: int, step_s: float, *, block: int = 1, device_s: float = NAN) -> StepRecord:
    """A step of a length, nothing else of it measured."""
    kinds = get_type_hints(StepRecord)
    values = {name: NAN if kind is float else UNKNOWN for name, kind in kinds.items()}
    values |= {"index": index, "block": block, "samples": 16, "start_ns": index}
    return StepRecord(**(values | {"step_s": step_s, "device_step_s": device_s}))


def write_steps(study: StudyFolder, process: str, key: str, steps: Sequence[StepRecord]) -> None:
    """Write what one process leaves: its steps, and its line in the baton's log."""
    path = RunFolder(study.path / "processes" / process).rank(0).steps
    path.parent.mkdir(parents=True)
    path.write_bytes(STEPS.header + b"".join(STEPS.pack(one) for one in steps))
    study.baton.append(
        {"process": process, "key": key, "what": "block 1", "start_ns": 0, "end_ns": 1}
    )


def make(folder: Path, document: Document, times: Times | None = None) -> StudyFolder:
    """Make a study folder with its Document, and the steps of its rows where they are given."""
    study = StudyFolder(folder)
    for name in ("processes", "generations"):
        (folder / name).mkdir(parents=True)
    documents.write(document, study.document)
    for number, (key, generations) in enumerate((times or {}).items()):
        for generation, of_one in enumerate(generations, start=1):
            steps = [step(index, time_s) for index, time_s in enumerate(of_one)]
            write_steps(study, f"{generation}-{number}", key, steps)
            write_json(study.generation(generation), {"number": generation})
    return study


def wavy(count: int, mean_s: float = 0.2) -> list[float]:
    """Step times round a mean, the same ones every time."""
    return [mean_s * (1 + 0.1 * math.sin(index)) for index in range(count)]


def renamed(document: Document, keys: Sequence[str]) -> Document:
    """The same Document with other names of its rows."""
    rows = [replace(row, key=key) for row, key in zip(document.rows, keys, strict=True)]
    return replace(document, rows=tuple(rows))
