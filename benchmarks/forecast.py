"""Forecast: `perfkit bench --full-epoch` on several settings, its forecasts against real epochs.

Every generation measures the parts of an epoch in a fresh process, and then runs one real epoch in
that process, without the recorder and with a DataLoader of its own. Each pair gives an error; a row's
interval (Student's t over its generations' forecasts) either covers the mean of its real epochs or
does not. Metrics and plots are off: a real epoch has none.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from _bench import bench, warnings_of
from _common import Answer, Row, Target, Watch, base, parse, parser, publish, run

from perfkit import units
from perfkit.document import Document
from perfkit.stats import median

MOST_SIGNED = 0.02
MOST_ABSOLUTE = 0.05
LEAST_COVERED = 0.80
GENERATIONS = 4
COMMON = ("--metrics-every", "0", "--viz-every", "0", "--full-epoch")


@dataclass(frozen=True)
class Part:
    """One bench: its name, and its flags beside the common ones."""

    name: str
    arguments: tuple[str, ...]


PARTS = (
    Part(
        "loading",
        ("--arch", "baseline", "--num-workers", "0", "--num-samples", "1992", "--variant",
         "num_workers=1", "--variant", "num_workers=2", "--variant", "batch_size=64"),
    ),
    Part(
        "workers end",
        ("--arch", "baseline", "--num-workers", "1", "--no-persistent-workers", "--variant",
         "num_workers=2"),
    ),
    Part(
        "memory",
        ("--arch", "baseline", "--data", "memory", "--num-workers", "0", "--num-samples", "2000",
         "--batch-size", "64"),
    ),
    Part("convnext", ("--arch", "convnext", "--num-workers", "1", "--num-samples", "296")),
)  # fmt: skip
"""Numbers of samples that are no multiple of the batch leave a partial batch at the end of an epoch."""
SMALL = (
    Part(
        "small",
        ("--arch", "baseline", "--num-workers", "0", "--num-samples", "168", "--data", "memory"),
    ),
)


def rows_of(part: str, document: Document) -> list[Row]:
    """Return a row per setting that was measured: forecasts, real epochs, errors, coverage."""
    found = []
    for row in document.rows:
        forecasts, reals = row.generation_epoch_time_s, row.generation_full_epoch_s
        if row.status != "ok" or row.epoch_time_s is None or not reals:
            continue
        interval, real_s = row.epoch_time_s, statistics.fmean(reals)
        covered = None
        if interval.low is not None and interval.high is not None:
            covered = interval.low <= real_s <= interval.high
        found.append(
            {
                "part": part,
                "setting": row.key,
                "forecast_s": interval,
                "generation_forecast_s": forecasts,
                "generation_real_s": reals,
                "errors": [f / r - 1 for f, r in zip(forecasts, reals, strict=True)],
                "covered": covered,
            }
        )
    return found


def targets(rows: Sequence[Row]) -> list[Target]:
    """Judge the errors of all pairs together, and the rows' coverage."""
    errors = [error for row in rows for error in row["errors"]]
    covered = [row["covered"] for row in rows if row["covered"] is not None]
    enough = len(rows) >= 6 and len(errors) >= 3 * len(rows)
    signed, absolute = median(errors), median([abs(error) for error in errors])
    pairs = f"{len(errors)} epochs of {len(rows)} settings"
    return [
        Target(
            name=f"median signed error, {pairs}",
            wanted="at most 2 %, over 6 settings × 3 epochs or more",
            measured=f"{100 * signed:+.2f} %",
            met=abs(signed) <= MOST_SIGNED if enough else None,
        ),
        Target(
            name=f"median absolute error, {pairs}",
            wanted="at most 5 %",
            measured=f"{100 * absolute:.2f} %",
            met=absolute <= MOST_ABSOLUTE if enough else None,
        ),
        Target(
            name="intervals that cover the real epochs' mean",
            wanted="at least 80 %",
            measured=f"{sum(covered)} of {len(covered)}",
            met=sum(covered) >= LEAST_COVERED * len(covered) if enough else None,
        ),
    ]


def main(argv: list[str]) -> None:
    """Entry point; see the module's text."""
    full_form = "some six minutes; parts that are in the results folder are not run again"
    made = parser("forecast", __doc__, full_form=full_form)
    made.add_argument("--device", default="cpu", help="cpu or cuda")
    made.add_argument("--generations", type=int, default=GENERATIONS, help="one real epoch each")
    options = parse(made, argv)
    _, environment = base(options.device, "baseline")
    watch = Watch()
    rows: list[Row] = []
    warnings: list[str] = []
    pinned = ["--generations", "1" if options.small else str(options.generations)]
    pinned += ["--steps", "5"] if options.small else []
    for part in SMALL if options.small else PARTS:
        arguments = [*part.arguments, *COMMON, "--device", options.device, *pinned]
        path = options.out / f"bench-{part.name.replace(' ', '-')}.json"
        document = bench(arguments, path, environment)
        rows += rows_of(part.name, document)
        warnings += [f"{part.name}: {said}" for said in warnings_of(document)]
        watch.mark()
    answer = Answer(
        name="forecast",
        title="Forecast epochs against real ones",
        rows=rows,
        columns=(
            ("Bench", lambda r: r["part"]),
            ("Setting", lambda r: r["setting"]),
            ("Forecast (s)", _forecast),
            ("Real, mean (s)", lambda r: f"{statistics.fmean(r['generation_real_s']):.3f}"),
            ("Error, median", lambda r: f"{100 * median(r['errors']):+.1f} %"),
            ("Error, range", _range),
            ("Covered", lambda r: {True: "yes", False: "no", None: units.MISSING}[r["covered"]]),
            ("Epochs", lambda r: str(len(r["errors"]))),
        ),
        targets=targets(rows),
        remarks=(
            "an error is forecast ÷ real − 1, both from one process",
            *(
                f"{part.name}: perfkit bench {' '.join((*part.arguments, *COMMON, *pinned))}"
                for part in (SMALL if options.small else PARTS)
            ),
        ),
        warnings=[*warnings, *watch.warnings()],
    )
    publish(answer, options, argv, environment)


def _forecast(row: Row) -> str:
    return units.with_error(row["forecast_s"].value, row["forecast_s"].half_width)


def _range(row: Row) -> str:
    return f"{100 * min(row['errors']):+.1f} … {100 * max(row['errors']):+.1f} %"


if __name__ == "__main__":
    run(main)
