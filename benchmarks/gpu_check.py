"""Checks on a GPU, in parts that each take under nine minutes and go on where they were stopped.

`--part variants`: fp32, tf32, amp and bf16, each plain, with channels_last and with compile: a bench
per precision, whose rows (the fp32 reference among them) take turns on a quarter of the card each.
Memory, NVML, MFU and the share of the matrix-product ceiling; then agreement and overhead with CUDA events.
`--part diagnose`: what `perfkit diagnose` says of jobs with one bottleneck planted (`_gpu_jobs.py`).
`--part run`: what `perfkit run` makes of a script that knows nothing of it (`_gpu_run.py`).
A call begins nothing that does not fit into its time: run the same command again to go on.
`--device cpu` runs the same path small.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import _gpu_jobs
import _gpu_run
import agreement
import overhead
from _bench import bench, warnings_of
from _common import Answer, Row, Show, Target, Watch, base, parse, parser, publish, run

from perfkit import units
from perfkit.codec import from_json
from perfkit.document import Document
from perfkit.errors import UsageError
from perfkit.report.columns import speedup
from perfkit.runfolder import read_json

LIMIT_S = 520.0
"""After so long a call begins nothing more: the calls themselves stay under nine minutes."""
PRECISIONS = ("fp32", "tf32", "amp", "bf16")
LAYOUTS = ("", "channels_last", "compile")
Columns = tuple[tuple[str, Show], ...]
SEATS = 4
FILL = 0.8
"""Part of its quarter of the card that a row may fill: contexts and workspaces need the rest."""
SIZE_S, BENCH_S, AGREEMENT_S, OVERHEAD_S = 100, 150, 90, 180
"""What each takes at most; a bench's is its time budget."""
COMMON = ("--data", "memory", "--metrics-every", "0", "--viz-every", "0")
ON_CUDA = ("--arch", "convnext", *COMMON, "--num-workers", "4")
"""Data in memory and few workers: batches of hundreds of large images would fill a small /dev/shm."""
ON_CPU = (
    "--arch", "baseline", *COMMON, "--num-workers", "0", "--num-samples", "96", "--base-channels",
    "16", "--num-blocks", "1", "--batch-size", "16", "--generations", "1", "--steps", "5",
)  # fmt: skip


class OutOfTime(Exception):
    """What comes next would not fit into this call."""


class Call:
    """One call of a part: its options, its time, and what it has found."""

    def __init__(self, options: argparse.Namespace, environment: dict[str, Any]) -> None:
        self.options = options
        self.environment = environment
        self.small = options.small or options.device == "cpu"
        self.watch = Watch()
        self.documents: list[Document] = []
        self.jobs: list[Row] = []
        """What was said of planted jobs."""
        self.runs: list[Row] = []
        """What a script did, bare and attached."""
        self.targets: list[Target] = []
        """Those of the other benchmarks that the part ran."""

    def begin(self, what: str, takes_s: float) -> None:
        """Refuse to begin what would not fit.

        Raises:
            OutOfTime: it would not.
        """
        spent_s = time.monotonic() - self.options.began
        if not self.small and spent_s + takes_s > LIMIT_S:
            raise OutOfTime(f"{what} was not begun after {spent_s:.0f} s")

    def bench(
        self, name: str, arguments: Sequence[str], takes_s: float, verb: str = "bench"
    ) -> Document:
        """Run a bench, or another command that measures, or read what an earlier call found."""
        self.begin(name, 0 if (self.options.out / f"{name}.json").exists() else takes_s)
        device = ("--device", self.options.device)
        path = self.options.out / f"{name}.json"
        document = bench([*arguments, *device], path, self.environment, verb)
        self.watch.mark()
        return document

    def script(self, main: Callable[[list[str]], None], name: str, takes_s: float) -> None:
        """Run another benchmark into a folder of its own, unless an earlier call has."""
        out = self.options.out / name
        if not (out / f"{name}.json").exists():
            self.begin(name, takes_s)
            small = ["--small"] if self.small else []
            main(["--device", self.options.device, "--out", str(out), *small])
            self.watch.start()
        targets = read_json(out / f"{name}.json")["targets"]
        self.targets += [from_json(Target, target) for target in targets]


def variants(call: Call) -> None:
    """Precisions × layouts, then agreement and overhead."""
    if call.options.device == "cpu":
        settings = list(ON_CPU)
    else:
        settings = [*ON_CUDA, "--batch-size", str(quarter_batch(call))]
        settings += ["--time-budget", str(BENCH_S)]
    precisions = ("bf16",) if call.options.small else PRECISIONS
    for precision in precisions:
        asked = rows_of(precision, compiled=not call.small or precision == "fp32")
        flags = [flag for name in asked for flag in ("--variant", name)]
        document = call.bench(f"variants-{precision}", [*settings, *flags], BENCH_S)
        call.documents.append(document)
    if not call.options.small:
        call.script(agreement.main, "agreement", AGREEMENT_S)
        call.script(overhead.main, "overhead", OVERHEAD_S)


def diagnose(call: Call) -> None:
    """Jobs with one bottleneck planted, each diagnosed."""
    for name in call.options.only or _gpu_jobs.JOBS:
        arguments = _gpu_jobs.arguments_of(name, small=call.small)
        document = call.bench(f"diagnose-{name}", arguments, _gpu_jobs.JOB_S, "diagnose")
        call.documents.append(document)
        call.jobs.append(_gpu_jobs.row_of(name, document))


def run_part(call: Call) -> None:
    """A script that knows nothing of perfkit: bare, attached, and bare again."""
    call.begin("run", _gpu_run.TAKES_S)
    call.options.out.mkdir(parents=True, exist_ok=True)
    rows, document = _gpu_run.watched(call.options.out / "run.json")
    _gpu_run.add_ours(rows, document)
    call.watch.mark()
    call.runs, call.documents = rows, [document]
    call.targets += _gpu_run.targets(rows)


PARTS: dict[str, Callable[[Call], None]] = {
    "variants": variants,
    "diagnose": diagnose,
    "run": run_part,
}


def rows_of(precision: str, *, compiled: bool) -> list[str]:
    """Return the variants of one bench beside its fp32 row, which needs no asking."""
    layouts = LAYOUTS if compiled else LAYOUTS[:2]
    rows = ["+".join(filter(None, (precision, layout))) for layout in layouts]
    return [row for row in rows if row != "fp32"]


def quarter_batch(call: Call) -> int:
    """Return the largest batch that fills no more than a quarter of the card in fp32, in sixteens."""
    memory = int(call.environment["device_memory_bytes"])
    limit = ("--batch-size", "max", "--memory-limit", str(int(FILL * memory / SEATS)))
    pinned = ("--generations", "1", "--steps", "5")
    document = call.bench("size", [*ON_CUDA, *limit, *pinned], SIZE_S)
    return max(16, int(document.base["batch_size"]) // 16 * 16)


def main(argv: list[str]) -> None:
    """Entry point; see the module's text."""
    full_form = "two or three calls of under nine minutes each"
    made = parser("gpu_check", __doc__, full_form=full_form)
    made.add_argument("--part", required=True, help=f"one of: {', '.join(PARTS)}")
    made.add_argument("--device", default="cuda", help="cuda or cpu")
    made.add_argument("--only", action="append", choices=_gpu_jobs.JOBS, help="a planted job")
    options = parse(made, argv)
    if options.part not in PARTS:
        raise UsageError(f"unknown part {options.part!r}", hint=f"one of: {', '.join(PARTS)}")
    _, environment = base(options.device, "convnext")
    call = Call(options, environment)
    unfinished = []
    try:
        PARTS[options.part](call)
    except OutOfTime as left:
        unfinished = [f"NOT FINISHED: {left}; run the same command again to go on"]
    told = dict.fromkeys(said for document in call.documents for said in warnings_of(document))
    answer = Answer(
        name="gpu_check",
        title=f"GPU check: {options.part} on {environment.get('device_name')}",
        rows=call.runs or call.jobs or table_rows(call.documents),
        columns=RUN_COLUMNS if call.runs else JOB_COLUMNS if call.jobs else COLUMNS,
        targets=[*call.targets, *(_gpu_jobs.targets(call.jobs) if call.jobs else ())],
        remarks=[f"perfkit {document.command.partition(' ')[2]}" for document in call.documents],
        warnings=[*unfinished, *told, *call.watch.warnings()],
        details={"part": options.part, "finished": not unfinished},
    )
    publish(answer, options, argv, environment)


def table_rows(found: Sequence[Document]) -> list[Row]:
    """Return a row per configuration of all benches; the reference is that of the first."""
    rows: dict[str, Row] = {}
    for document in found:
        for row in document.rows:
            rows.setdefault(
                row.key,
                {
                    "key": row.key,
                    "status": row.status,
                    "message": row.message,
                    "step_s": None if row.step_time_s is None else row.step_time_s.median,
                    "speedup": row.speedup,
                    "speedup_text": speedup(row.speedup),
                    "telemetry": row.telemetry,
                    "effective": row.effective,
                    "unavailable": row.unavailable,
                    "generations": row.generations,
                    **{name: getattr(row, name) for name in _COPIED},
                },
            )
    return list(rows.values())


_COPIED = (
    "samples_per_sec", "peak_allocated_bytes", "peak_reserved_bytes", "gpu_util_share", "mfu",
    "gemm_ceiling_share", "flops_per_sample", "overhead_share", "epoch_time_s", "startup_s", "loss",
)  # fmt: skip


COLUMNS: Columns = (
    ("Configuration", lambda r: r["key"]),
    ("Status", lambda r: r["status"]),
    ("Step (ms)", lambda r: _scaled(r["step_s"], 1e3)),
    ("Samples/s", lambda r: units.rate(r["samples_per_sec"])),
    ("Speed-up [95 %]", lambda r: r["speedup_text"]),
    ("Allocated", lambda r: units.size(r["peak_allocated_bytes"])),
    ("Reserved", lambda r: units.size(r["peak_reserved_bytes"])),
    ("GPU busy (NVML)", lambda r: units.share(r["gpu_util_share"])),
    ("MFU", lambda r: units.share(r["mfu"], 1)),
    ("Of matrix ceiling", lambda r: units.share(r["gemm_ceiling_share"], 1)),
    ("Own cost", lambda r: units.share(r["overhead_share"], 2)),
    ("Generations", lambda r: str(r["generations"])),
)
RUN_COLUMNS: Columns = (
    ("Run", lambda r: r["name"]),
    ("Weights", lambda r: r["weights"][:12]),
    ("Steps", lambda r: str(r["steps"])),
    ("Counted", lambda r: str(r.get("counted_steps", units.MISSING))),
    ("Wait by the script (ms)", lambda r: _scaled(r["wait_s"], 1e3)),
    ("Exposed wait by perfkit (ms)", lambda r: _scaled(r.get("exposed_wait_s"), 1e3)),
    ("Said", lambda r: r.get("said") or units.MISSING),
)
JOB_COLUMNS: Columns = (
    ("Job", lambda r: r["job"]),
    ("Right", lambda r: " or ".join(r["right"])),
    ("Said", lambda r: "/".join(filter(None, (r["said"], r["stage"])))),
    ("Verdicts", lambda r: ", ".join(r["verdicts"])),
    ("Share", lambda r: units.share(r["share"])),
    ("Step (ms)", lambda r: _scaled(r["step_s"], 1e3)),
    ("GPU busy (NVML)", lambda r: units.share(r["gpu_util_share"])),
    ("Seconds", lambda r: _scaled(r["seconds"], 1)),
)


def _scaled(value: float | None, by: float) -> str:
    return units.MISSING if value is None else units.significant(value * by)


if __name__ == "__main__":
    run(main)
