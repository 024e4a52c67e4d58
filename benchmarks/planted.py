"""Planted bottlenecks: does `perfkit diagnose` name what was planted, and what it costs?

Every job of `plugins/workloads/planted.py` is diagnosed as the command does it, with shorter blocks. The
truth is the ablation: the same job without its plant, in turns with it in one generation; the part of the
epoch that the plant takes is held against the removable part of the verdict. How many layers make a step of
a stated length is found first.

What was measured is kept job by job below `--out` and judged again each time; a call ends after nine minutes
at the latest and, given the same folder and machine, goes on with the jobs that are left. `--only KIND`
(repeatable; a job's name, or the kind or the kind/stage that is planted) runs some. `--store FOLDER` keeps a
copy of the runs in a folder, for tests that judge them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from _common import Answer, Row, base, foreign_load, parse, parser, publish, run
from _engine import check_setup
from _plants import BLOCK_S, EXPECTED, Calibration, Run, calibrated, job, measured, rows
from _plants_judged import judged, label, matrix, targets
from _plants_kept import keep, path_of, read

from perfkit import units
from perfkit.codec import from_json, to_json
from perfkit.config import RunConfig
from perfkit.errors import DamagedFile, UsageError
from perfkit.runfolder import read_json, write_json
from perfkit.stats import Interval

LIMIT_S = 540.0
"""What a call may take: no job is begun that would end later."""
JOB_S = 40.0
"""What a job is taken to take before one has run."""
SMALL = ("slow_storage",)


def main(argv: list[str]) -> None:
    """Entry point; see the module's text."""
    made = parser("planted", __doc__, full_form="some twelve minutes, in two calls")
    made.add_argument("--only", action="append", default=[], metavar="KIND")
    made.add_argument("--store", type=Path, metavar="FOLDER", help="keep a copy of the runs here")
    options = parse(made, argv)
    names = chosen(options.only) or (SMALL if options.small else tuple(EXPECTED))
    config, environment = base("cpu", "baseline")
    options.out.mkdir(parents=True, exist_ok=True)
    calibration = _calibration(options.out, config, small=options.small)
    planned = {name: rows(name, config, calibration) for name in EXPECTED}
    every = [row for job_rows in planned.values() for row in job_rows]
    check_setup(every, options.out, environment, small=options.small)
    runs: list[Run] = []
    longest_s = 0.0 if options.small else JOB_S
    for name in names:
        kept = path_of(options.out / "runs", name)
        if kept.exists():
            runs.append(read(kept))
            continue
        if time.monotonic() - options.began + longest_s > LIMIT_S:
            continue
        found = measured(planned[name], environment, small=options.small)
        longest_s = max(longest_s, found.seconds)
        keep(found, options.out / "runs")
        runs.append(read(kept))
        row = judged(runs[-1])
        said = f"{name}: {row['said']} ({row['outcome']}), {found.seconds:.0f} s"
        print(said, file=sys.stderr, flush=True)
    if options.store is not None:
        for one in runs:
            keep(one, options.store)
    publish(_answer(runs, names, calibration), options, argv, environment)


def chosen(asked: Sequence[str]) -> tuple[str, ...]:
    """Return the jobs that are named, or whose planted kind or kind/stage is.

    Raises:
        UsageError: there is no such job, and nothing is planted of that kind.
    """
    found = []
    for one in asked:
        of_it = [
            name
            for name, expected in EXPECTED.items()
            if one in (name, expected.kinds[0], label(expected.kinds[0], expected.stage))
        ]
        if not of_it:
            kinds = sorted({expected.kinds[0] for expected in EXPECTED.values()})
            raise UsageError(
                f"--only {one}: there is no such job, and nothing of that kind is planted",
                hint=f"jobs: {', '.join(EXPECTED)}; kinds: {', '.join(kinds)}",
            )
        found += of_it
    return tuple(name for name in EXPECTED if name in found)


def _calibration(out: Path, config: RunConfig, *, small: bool) -> Calibration:
    path = out / "calibration.json"
    if path.exists():
        try:
            return from_json(Calibration, read_json(path))
        except DamagedFile as error:
            raise DamagedFile(f"{path}: {error.message}", hint="remove it") from error
    found = calibrated(config, small=small)
    write_json(path, to_json(found))
    return found


def _answer(runs: Sequence[Run], names: Sequence[str], calibration: Calibration) -> Answer:
    found = [judged(one) for one in runs]
    steps = sorted({job(name).step_s for name in EXPECTED} - {0.0})
    layers = ", ".join(f"{calibration.layers(s)} for {units.seconds(s)}" for s in steps)
    return Answer(
        name="planted",
        title="Planted bottlenecks",
        rows=found,
        columns=(
            ("Job", lambda r: r["job"]),
            ("Planted", lambda r: r["planted"]),
            ("Said", _said),
            ("Outcome", lambda r: r["outcome"]),
            ("Removable, of the epoch", lambda r: _share(r["share"])),
            ("By ablation", lambda r: _share(r["true_share"])),
            ("Error, points", _error),
            ("Holds the truth", lambda r: _yes(r["covers"])),
            ("Step, ms", lambda r: _ms(r["step_s"])),
            ("Replayed, ms", lambda r: _ms(r["compute_s"])),
            ("Took, s", lambda r: f"{r['seconds']:.0f}"),
        ),
        further=matrix(found),
        targets=targets(found),
        remarks=(
            "a job and its ablation are two processes of one generation, their blocks of"
            f" {units.seconds(BLOCK_S)} in turns; six palindromes of arms; the true share is 1 − epoch"
            " without ÷ epoch with, its interval over palindromes",
            f"calibrated: computing takes {units.seconds(calibration.fixed_s)} and"
            f" {units.seconds(calibration.layer_s)} a layer; layers: {layers}",
            *(f"{r['job']}: {r['because']}" for r in found if r["because"]),
        ),
        warnings=_warnings(found, names, calibration),
        details={"calibration": to_json(calibration)},
    )


def _warnings(found: Sequence[Row], names: Sequence[str], calibration: Calibration) -> list[str]:
    told = []
    if calibration.disturbed:
        told.append(
            "calibrated beside somebody else's load, so that steps are not as long as stated; name another"
            " --out to do it again"
        )
    done = {row["job"] for row in found}
    left = [name for name in names if name not in done]
    if left:
        told.append(f"not yet run: {', '.join(left)}; give the same command again to go on")
    others = [row for row in found if row["job"] != "foreign_load"]
    disturbed = sum(row["disturbed"] for row in others)
    if disturbed:
        told.append(foreign_load(disturbed, sum(row["blocks"] for row in others), "blocks"))
    return told


def _said(row: Row) -> str:
    parts = [row["said"], *row["flags"]]
    if row["workers_needed"] is not None:
        wanted = row["workers_expected"]
        known = "" if wanted is None else f" of {wanted}"
        parts.append(f"workers needed: {row['workers_needed']}{known}")
    return ", ".join(parts)


def _share(share: Interval | None) -> str:
    if share is None:
        return units.MISSING
    if share.low is None or share.high is None:
        return units.share(share.value)
    return f"{units.share(share.value)} [{units.share(share.low)} to {units.share(share.high)}]"


def _error(row: Row) -> str:
    return units.MISSING if row["error"] is None else f"{100 * row['error']:+.1f}"


def _yes(value: bool | None) -> str:
    return {True: "yes", False: "no", None: units.MISSING}[value]


def _ms(seconds: float | None) -> str:
    return units.MISSING if seconds is None else f"{1e3 * seconds:.1f}"


if __name__ == "__main__":
    run(main)
