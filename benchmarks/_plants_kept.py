"""Keeping planted runs in small files, so that they can be judged again by a later perfkit."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from _plants import FILE, Run

from perfkit.codec import from_json, json_text, to_json
from perfkit.errors import DamagedFile
from perfkit.study.start import ENVIRONMENT_KEYS

SUFFIX = ".json.gz"
DIGITS = 6
"""Significant digits of every float: a microsecond of a second, more than a verdict rests on."""


def path_of(folder: Path, name: str) -> Path:
    """Return where the run of a job is kept."""
    return folder / f"{name}{SUFFIX}"


def keep(run: Run, folder: Path) -> None:
    """Write a run: without what tells whose machine it was, and with floats of six digits."""
    config = replace(
        run.row.config, cache_dir="", arch=run.row.config.arch.replace(str(FILE), FILE.name)
    )
    processes = tuple(replace(p, folder="", environment={}) for p in run.result.processes)
    kept = replace(
        run,
        row=replace(run.row, config=config),
        environment={key: run.environment.get(key) for key in ENVIRONMENT_KEYS},
        result=replace(run.result, processes=processes),
    )
    text = json_text(_rounded(to_json(kept)))
    folder.mkdir(parents=True, exist_ok=True)
    path = path_of(folder, run.job)
    # the time of writing is left out: equal runs are equal files
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def read(path: Path) -> Run:
    """Read a run that was kept.

    Raises:
        DamagedFile: it is not there, not whole, or not a run.
    """
    try:
        data = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError) as error:
        raise DamagedFile(f"{path}: {error}", hint="remove it to measure the job again") from error
    return from_json(Run, data)


def read_all(folder: Path) -> dict[str, Run]:
    """Return every run that is kept in a folder, by job."""
    runs = [read(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
    return {run.job: run for run in runs}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return value
