"""The answer of training processes that recorded into a study, where nobody has written it yet."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter_ns

from perfkit import documentfile as documents
from perfkit.document import Document
from perfkit.runfolder import StudyFolder
from perfkit.study.attached.answer import KIND, Head, document_of, runs_of
from perfkit.study.attached.intervals import end_of
from perfkit.study.attached.read import Recorded, process_folders, read_process


def answer_of(study: StudyFolder) -> Document | None:
    """Return what the training processes of a study have shown so far; None where none has trained.

    It is stored once all of them have ended.

    Raises:
        PerfkitError: it cannot be stored.
    """
    read = (read_process(folder) for folder in process_folders(study))
    recorded = [one for one in read if one is not None]
    if not recorded:
        return None
    ended = all(one.ended for one in recorded)
    document = document_of(
        runs_of(recorded),
        _head(study.path, min(recorded, key=lambda one: one.started_unix_s)),
        elapsed_s=_elapsed_s(recorded),
        complete=ended,
    )
    if ended:
        documents.write(document, study.document)
    return document


def is_attached(study: StudyFolder) -> bool:
    """Whether a study is of a training that was watched, by its name."""
    return study.path.resolve().name.partition("Z-")[2].partition("-")[0] == KIND


def _head(path: Path, first: Recorded) -> Head:
    """What the study is of: the command line of the process that began first, from where it was started."""
    study = str(path)
    if path.is_absolute() and first.cwd and path.is_relative_to(first.cwd):
        study = os.path.relpath(path, first.cwd)
    return Head.at(shlex.join(["python", *first.argv]), study, first.started_unix_s)


def _elapsed_s(recorded: Sequence[Recorded]) -> float:
    since = min(one.started_ns for one in recorded)
    ends = [end_of(one.steps[-1]) for one in recorded if one.steps]
    return max(0.0, (max(ends, default=perf_counter_ns()) - since) * 1e-9)
