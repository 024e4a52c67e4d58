"""Generations of real processes for `repeatability.py` and `power.py`, kept line by line.

Every generation is one line of `generations.jsonl` in the results folder, on disk when it is over: a
benchmark that was stopped goes on with the next one. `setup.json` beside it says what was measured and
on what machine; with another setup or machine nothing is added.
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from perfkit.codec import to_json
from perfkit.config import RunConfig
from perfkit.engine.events import Event
from perfkit.engine.executor import Executor
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.results import GenerationResult
from perfkit.errors import PerfkitError, UsageError
from perfkit.jsonlines import JsonLines
from perfkit.runfolder import StudyFolder, read_json, write_json
from perfkit.stats import outcome, ratio_interval
from perfkit.study.ratios import epoch_s
from perfkit.study.start import ENVIRONMENT_KEYS

GENERATIONS_A_TRY = 5
"""One more than an interval needs at least; `perfkit bench` has time for as many in its default budget."""
BLOCK_S = 0.25
"""Shorter than bench's, like the warm-up: starting and ending four processes takes most of the time."""
WARM_UP_S = 0.3
PALINDROMES = 2
SPARE_S = 3.0
TIMEOUT_S = 300.0
FILE = "generations.jsonl"
Line = dict[str, Any]
"""`number`, `cost_s`, and by row key `rows`: `epoch_s`, `steps_s` of the blocks, `disturbed` blocks."""


def run(
    rows: Sequence[RowPlan], count: int, out: Path, environment: dict[str, Any], *, small: bool
) -> list[Line]:
    """Run generations of these rows until the folder has `count`, and return them all.

    Raises:
        PerfkitError: a process failed, or the folder holds generations of something else.
    """
    out.mkdir(parents=True, exist_ok=True)
    check_setup(rows, out, environment, small=small)
    lines = JsonLines(out / FILE)
    found = list(lines.read())
    if found:
        print(f"going on after {len(found)} generations in {out}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        study = StudyFolder.create("benchmark", root=Path(folder))
        with Executor(study, timeout_s=TIMEOUT_S, emit=_ignore) as executor:
            while len(found) < count:
                result = executor.run(plan(rows, len(found) + 1, small=small))
                line = line_of(result, rows)
                lines.append(line)
                found.append(line)
                cost = f"{result.cost_s:.1f} s"
                print(f"generation {len(found)} of {count}: {cost}", file=sys.stderr, flush=True)
    return found[:count]


def smallest(config: RunConfig) -> RunConfig:
    """Return the training of a small form."""
    own = {**config.workload, "base_channels": 16, "data": "memory", "eval_samples": 32}
    return replace(config, num_samples=160, workload=own)


def plan(rows: Sequence[RowPlan], number: int, *, small: bool = False) -> GenerationPlan:
    """Return the plan of one generation: as bench's, with shorter blocks."""
    return GenerationPlan(
        number=number,
        group=0,
        rows=tuple(rows),
        palindromes=1 if small else PALINDROMES,
        warm_up_s=WARM_UP_S,
        block_s=BLOCK_S,
        steps=5 if small else None,
        spare_s=0.0 if small else SPARE_S,
    )


def line_of(result: GenerationResult, rows: Sequence[RowPlan]) -> Line:
    """Return what is kept of a generation.

    Raises:
        PerfkitError: one of its processes failed.
    """
    kept = {}
    for row in rows:
        process = result.process(row.key)
        if process is None or process.status != "ok":
            why = "it is missing" if process is None else f"{process.status}: {process.message}"
            raise PerfkitError(f"{row.key} failed in generation {result.number}: {why}")
        kept[row.key] = {
            "epoch_s": epoch_s(process, row.config),
            "steps_s": [block.step_s for block in process.blocks],
            "disturbed": sum(block.disturbed for block in process.blocks),
        }
    return {"number": result.number, "cost_s": result.cost_s, "rows": kept}


def tries(lines: Sequence[Line]) -> list[list[Line]]:
    """Split generations into tries, in order; what is left over makes none."""
    size = GENERATIONS_A_TRY
    return [list(lines[i : i + size]) for i in range(0, len(lines) - size + 1, size)]


def log_ratios(lines: Sequence[Line], row: str, reference: str) -> list[float]:
    """Return log(reference ÷ row) of the epoch times of every generation."""
    epochs = [(line["rows"][reference]["epoch_s"], line["rows"][row]["epoch_s"]) for line in lines]
    return [math.log(reference_s / row_s) for reference_s, row_s in epochs]


def by_try(
    lines: Sequence[Line], compared: Sequence[tuple[dict[str, Any], str, str]]
) -> list[dict[str, Any]]:
    """Return what each try says of each comparison: the speed-up's interval and the outcome.

    Args:
        compared: what names a comparison, the key of its row, and that of its reference.
    """
    found = []
    for number, generations in enumerate(tries(lines), start=1):
        for named, row, reference in compared:
            interval = ratio_interval(log_ratios(generations, row, reference))
            judged = outcome(interval, len(generations))
            found.append({"try": number, **named, "speedup": interval, "outcome": judged})
    return found


def disturbed(lines: Sequence[Line]) -> tuple[int, int]:
    """Return how many blocks ran beside somebody else's load, repeats included, and of how many."""
    rows = [row for line in lines for row in line["rows"].values()]
    return sum(row["disturbed"] for row in rows), sum(len(row["steps_s"]) for row in rows)


def use_plugins() -> None:
    """Have perfkit find the variants beside the benchmarks, in this process and its children."""
    ours = str(Path(__file__).parent / "plugins")
    theirs = os.environ.get("PERFKIT_PATH", "")
    os.environ["PERFKIT_PATH"] = os.pathsep.join(filter(None, (ours, theirs)))


def check_setup(
    rows: Sequence[RowPlan], out: Path, environment: dict[str, Any], *, small: bool
) -> None:
    """Write what a results folder is of, or see that it is of the same.

    Raises:
        UsageError: it holds generations of other rows, of another form or of another machine.
    """
    now = to_json(
        {
            # where data is cached is nobody's business and changes nothing
            "rows": [(row.key, replace(row.config, cache_dir="")) for row in rows],
            "small": small,
            "environment": {key: environment.get(key) for key in ENVIRONMENT_KEYS},
        }
    )
    path = out / "setup.json"
    if not path.exists():
        write_json(path, now)
    elif read_json(path) != now:
        raise UsageError(
            f"{out} holds generations of another setup or machine", hint="name another --out"
        )


def _ignore(event: Event) -> None: ...
