"""Running `perfkit bench` as a user does, for the benchmarks that look at its Documents."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perfkit import documentfile as documents
from perfkit.document import Document
from perfkit.errors import EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_OK, PerfkitError, UsageError
from perfkit.study.start import ENVIRONMENT_KEYS

_ANSWERED = (EXIT_OK, EXIT_FAILED, EXIT_INCONCLUSIVE)


def bench(
    arguments: Sequence[str], path: Path, environment: dict[str, Any], verb: str = "bench"
) -> Document:
    """Return the Document of `perfkit bench` with these arguments, and keep it in a file.

    A whole one that is there already, of the same command on the same machine, is not measured again.
    A row that failed is a row of the Document. The study's folder is removed.

    Args:
        environment: the machine's survey.
        verb: another command that measures, e.g. `diagnose`.

    Raises:
        PerfkitError: it ended without an answer.
    """
    arguments = [verb, *arguments, "--json", "-"]
    stored = _stored(path)
    if stored is not None and _same(stored, shlex.join(["perfkit", *arguments]), environment):
        print(f"{path} is there already", file=sys.stderr)
        return stored
    command = [sys.executable, "-m", "perfkit", *arguments]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, env=environment_of_children()
        )
    if done.returncode not in _ANSWERED or not done.stdout:
        raise PerfkitError(f"perfkit {' '.join(arguments)} ended with code {done.returncode}")
    document = documents.loads(done.stdout.decode(), name="its answer")
    path.parent.mkdir(parents=True, exist_ok=True)
    documents.write(document, path)
    return document


def warnings_of(document: Document) -> list[str]:
    """Return what a Document warns of, with its rows' disturbed blocks and failures."""
    found = [note.text for note in document.warnings]
    for row in document.rows:
        found += [f"{row.key}: {note.text}" for note in row.notes if note.code == "disturbed"]
        if row.status not in ("ok", "unsupported"):
            found.append(f"{row.key}: {row.status}: {row.message}")
    return found


def _stored(path: Path) -> Document | None:
    try:
        return documents.read(path)
    except UsageError:
        return None


def _same(document: Document, command: str, environment: dict[str, Any]) -> bool:
    there = document.environment
    same_machine = all(there.get(key) == environment.get(key) for key in ENVIRONMENT_KEYS)
    return document.complete and document.command == command and same_machine


def environment_of_children() -> dict[str, str]:
    """Return the environment of a command that runs in another folder."""
    # a relative path would lead elsewhere there
    path = os.environ.get("PYTHONPATH", "")
    absolute = [os.path.abspath(part) for part in path.split(os.pathsep) if part]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(absolute)}
