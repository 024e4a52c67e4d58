"""Planted bottlenecks: does `perfkit diagnose` name what was planted, and what it costs?

Every job of `plugins/workloads/planted.py` is diagnosed in a process of its own, as the command does it with
shorter blocks. The truth is the ablation: the same job without its plant, in turns with it in one
generation; the difference of their epochs is what the plant costs, and is held against the removable
seconds of the verdict. It goes on where it was stopped; `--only JOB` (repeatable) runs some.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from _common import Answer, Row, Target, Watch, base, parse, parser, publish, run

from perfkit import units
from perfkit.codec import to_json
from perfkit.config import RunConfig
from perfkit.document import Diagnosis
from perfkit.engine.executor import Executor
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.results import GenerationResult
from perfkit.errors import PerfkitError, UsageError
from perfkit.runfolder import JsonLines, StudyFolder
from perfkit.stats import median
from perfkit.study.diagnose.answer import diagnosis
from perfkit.study.diagnose.evidence import evidence_of
from perfkit.study.diagnose.plan import DiagnosePlan
from perfkit.study.ratios import epoch_s
from perfkit.study.rows import make_rows

FILE = Path(__file__).parent / "plugins" / "workloads" / "planted.py"
LINES = "jobs.jsonl"
BLOCK_S = 0.3
TIMEOUT_S = 120.0
SAMPLES = 2048
SMALL = ("slow_storage", "slow_metrics")


@dataclass(frozen=True)
class Expected:
    """What a job's verdict should be."""

    kinds: tuple[str, ...]
    stage: str | None = None
    flag: str | None = None
    workers: int | None = None


EXPECTED = {
    "slow_storage": Expected(("input_bound",), "storage"),
    "slow_decode": Expected(("input_bound",), "decode"),
    "heavy_collate": Expected(("input_bound",), "collate"),
    "many_tensors": Expected(("input_bound",), "transfer"),
    "too_few_workers_1_5": Expected(("input_bound",), "storage", "too_few_workers", 2),
    "too_few_workers_2_5": Expected(("input_bound",), "storage", "too_few_workers", 3),
    "too_few_workers_3_5": Expected(("input_bound",), "storage", "too_few_workers", 4),
    "fighting": Expected(("contended",)),
    "tiny_operators": Expected(("host_bound", "compute_bound")),
    "heavy_model": Expected(("compute_bound",)),
    "slow_metrics": Expected(("periodic_bound",)),
    "slow_evaluation": Expected(("periodic_bound",)),
    "respawned_workers": Expected(("startup_bound",)),
    "prefetched": Expected(("compute_bound", "balanced")),
    "long_stall": Expected(("input_bound",)),
    "foreign_load": Expected(("disturbed", "inconclusive")),
    "balanced": Expected(("balanced", "compute_bound")),
}
"""`tiny_operators` on a CPU is told by two witnesses or not at all; there computing is the truth, too."""


def settings(name: str, config: RunConfig) -> RunConfig:
    """Return the settings of a job."""
    import plugins.workloads.planted as plants

    job = plants.JOBS[name.removesuffix("_off")]
    job = job.without() if name.endswith("_off") else job
    own: dict[str, Any] = {"num_samples": SAMPLES, "num_threads": 1, "epochs": 100, **job.settings}
    return replace(config, arch=f"{FILE}:{name}", **own)


def diagnosed(name: str, config: RunConfig, environment: dict[str, Any]) -> Diagnosis:
    """Diagnose one job.

    Raises:
        PerfkitError: it failed.
    """
    row = _row(name, config)
    plan = DiagnosePlan(rows=(row,), budget_s=60.0).next([], 60.0)
    assert plan is not None
    result = _run(replace(plan, block_s=BLOCK_S, warm_up_s=1.0, load_s=1.0))
    (process,) = result.processes
    if process.status != "ok":
        raise PerfkitError(f"{name} failed: {process.status}: {process.message}")
    (shown,) = make_rows((row,), [result], {})
    return diagnosis(evidence_of(shown, row, process, environment), result)


def cost_s(name: str, config: RunConfig) -> tuple[float, float]:
    """Return the seconds of an epoch with the plant and without it, in turns in one generation."""
    rows = (_row(name, config), _row(f"{name}_off", config))
    plan = GenerationPlan(
        number=1, group=0, rows=rows, palindromes=3, warm_up_s=0.5, block_s=BLOCK_S
    )
    result = _run(plan)
    found = []
    for row in rows:
        process = result.process(row.key)
        seconds = None if process is None else epoch_s(process, row.config)
        if seconds is None:
            raise PerfkitError(f"{row.key} has no epoch: {process}")
        found.append(seconds)
    return found[0], found[1]


def _row(name: str, config: RunConfig) -> RowPlan:
    return RowPlan(key=name, arch=name, variant="fp32", config=settings(name, config))


def _run(plan: GenerationPlan) -> GenerationResult:
    with tempfile.TemporaryDirectory() as folder:
        study = StudyFolder.create("benchmark", root=Path(folder))
        with Executor(study, timeout_s=TIMEOUT_S, emit=lambda event: None) as executor:
            return executor.run(plan)


@contextlib.contextmanager
def foreign_load(name: str) -> Iterator[None]:
    """Somebody else's process eats a core, for the job that is about it."""
    if name != "foreign_load":
        yield
        return
    # its parent is not us: what we start and wait for counts as ours
    busy = "import os, time\nif os.fork():\n    os._exit(0)\nos.setsid()\n"
    busy += (
        "print(os.getpid(), flush=True)\nend = time.time() + 90\nwhile time.time() < end: pass\n"
    )
    started = subprocess.run([sys.executable, "-c", busy], stdout=subprocess.PIPE, check=False)
    pid = int(started.stdout.split()[0])
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            import os
            import signal

            os.kill(pid, signal.SIGKILL)


def judged(name: str, found: Diagnosis, with_s: float, without_s: float) -> Row:
    """Hold a diagnosis against what was planted."""
    expected = EXPECTED[name]
    first = found.verdicts[0] if found.verdicts else None
    stage = first.stage if first else None
    flags = first.flags if first else ()
    right = (
        found.primary in expected.kinds
        and expected.stage in (None, stage)
        and (expected.flag is None or expected.flag in flags)
        and expected.workers in (None, found.workers_needed)
    )
    removable = first.removable_s if first and first.kind in expected.kinds else None
    return {
        "job": name,
        "primary": found.primary,
        "stage": stage,
        "flags": list(flags),
        "workers_needed": found.workers_needed,
        "outcome": "right"
        if right
        else "abstained"
        if found.primary == "inconclusive"
        else "wrong",
        "because": found.inconclusive_because,
        "epoch_s": with_s,
        "true_share": max(0.0, with_s - without_s) / with_s,
        "share": None if removable is None else removable.value / with_s,
        "low_share": None if removable is None or removable.low is None else removable.low / with_s,
        "high_share": None
        if removable is None or removable.high is None
        else removable.high / with_s,
    }


def targets(rows: Sequence[Row]) -> tuple[Target, ...]:
    """Return what the issue asks of the whole."""
    wrong = [row["job"] for row in rows if row["outcome"] == "wrong"]
    right = [row for row in rows if row["outcome"] == "right"]
    errors = [abs(row["share"] - row["true_share"]) for row in rows if row["share"] is not None]
    bounded = [row for row in rows if row["low_share"] is not None]
    covered = [r for r in bounded if r["low_share"] <= r["true_share"] <= r["high_share"]]
    found = [
        Target(
            name="jobs named right, the rest abstained",
            wanted="all but one, none wrong",
            measured=f"{len(right)} of {len(rows)} right; wrong: {', '.join(wrong) or 'none'}",
            met=not wrong and len(right) >= len(rows) - 1,
        )
    ]
    if errors:
        found.append(
            Target(
                name="removable share against the ablation",
                wanted="median error at most 3 points, worst at most 8",
                measured=f"median {100 * median(errors):.1f}, worst {100 * max(errors):.1f} points",
                met=median(errors) <= 0.03 and max(errors) <= 0.08,
            )
        )
    if bounded:
        found.append(
            Target(
                name="intervals that hold the truth",
                wanted="at least 80 %",
                measured=f"{len(covered)} of {len(bounded)}",
                met=len(covered) >= 0.8 * len(bounded),
            )
        )
    return tuple(found)


def main(argv: list[str]) -> None:
    """Entry point; see the module's text."""
    made = parser("planted", __doc__, full_form="some ten minutes")
    made.add_argument("--only", action="append", choices=sorted(EXPECTED), metavar="JOB")
    options = parse(made, argv)
    sys.path.append(str(Path(__file__).parent))
    config, environment = base("cpu", "baseline")
    names = options.only or (SMALL if options.small else tuple(EXPECTED))
    options.out.mkdir(parents=True, exist_ok=True)
    lines = JsonLines(options.out / LINES)
    known = {line["job"]: line for line in lines.read()}
    watch = Watch()
    for name in names:
        if name in known:
            continue
        began = time.monotonic()
        with foreign_load(name):
            found = diagnosed(name, config, environment)
        line = judged(name, found, *cost_s(name, config))
        line["seconds"] = time.monotonic() - began
        lines.append(to_json(line))
        known[name] = line
        print(f"{name}: {line['primary']} ({line['outcome']})", file=sys.stderr, flush=True)
    watch.mark()
    rows = [known[name] for name in names if name in known]
    if not rows:
        raise UsageError("nothing was run")
    answer = Answer(
        name="planted",
        title="Planted bottlenecks",
        rows=rows,
        columns=(
            ("Job", lambda r: r["job"]),
            ("Verdict", _verdict),
            ("Outcome", lambda r: r["outcome"]),
            ("Removable, of the epoch", _share),
            ("By ablation", lambda r: units.share(r["true_share"])),
            ("Took, s", lambda r: f"{r['seconds']:.0f}"),
        ),
        targets=targets(rows),
        remarks=(
            f"one process a job, six palindromes of arms in blocks of {units.seconds(BLOCK_S)}; the"
            " ablation: one generation with and without the plant, three palindromes",
        ),
        warnings=[] if "foreign_load" in names else watch.warnings(),
    )
    publish(answer, options, argv, environment)


def _verdict(row: Row) -> str:
    parts = [row["primary"] + (f"/{row['stage']}" if row["stage"] else ""), *row["flags"]]
    if row["workers_needed"] is not None:
        parts.append(f"{row['workers_needed']} workers")
    return ", ".join(parts)


def _share(row: Row) -> str:
    if row["share"] is None:
        return units.MISSING
    bounds = ""
    if row["low_share"] is not None:
        bounds = f" [{units.share(row['low_share'])} to {units.share(row['high_share'])}]"
    return units.share(row["share"]) + bounds


if __name__ == "__main__":
    run(main)
