"""Power: how often a planted slowdown of 2, 5 or 10 % of an epoch is found, and how wide its interval is.

The variant `busy=US` (benchmarks/plugins) spins in every step; how long is chosen once, from measured
epochs, and kept in the results folder. A generation has the reference and the three slowed rows; five
generations are one try, judged as `perfkit bench` judges. The truth is what the spins take, timed
directly, over the reference's measured epochs.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from _common import (
    Answer,
    Row,
    Target,
    Watch,
    base,
    foreign_load,
    make_data,
    parse,
    parser,
    publish,
    run,
)
from _engine import GENERATIONS_A_TRY, Line, by_try, disturbed, smallest, use_plugins
from _engine import run as run_generations

from perfkit import units
from perfkit.config import RunConfig
from perfkit.engine.plan import RowPlan
from perfkit.runfolder import read_json, write_json
from perfkit.stats import median
from perfkit.study.matrix import row_of

SLOWDOWNS = (0.02, 0.05, 0.10)
TRIES = 20
FOUND_SHARE = 18 / 20
CALIBRATING = 2
"""Generations of the reference alone that tell how long an epoch is."""


def busy_us(epoch_s: float, steps: int, slowdowns: Sequence[float]) -> list[int]:
    """Return the microseconds a step that make an epoch longer by each of the slowdowns."""
    return [max(1, round(1e6 * share * epoch_s / steps)) for share in slowdowns]


def calibrated(
    config: RunConfig,
    slowdowns: Sequence[float],
    out: Path,
    environment: dict[str, Any],
    *,
    small: bool,
) -> list[int]:
    """Return the spins of the slowed rows, µs: from the folder, or else from measured epochs."""
    path = out / "calibration.json"
    if not path.exists():
        reference = row_of(config, "fp32")
        lines = run_generations(
            (reference,), 1 if small else CALIBRATING, out / "calibration", environment, small=small
        )
        epoch_s = statistics.fmean(line["rows"][reference.key]["epoch_s"] for line in lines)
        spins = busy_us(epoch_s, config.steps_per_epoch, slowdowns)
        write_json(path, {"epoch_s": epoch_s, "busy_us": spins})
    return [int(us) for us in read_json(path)["busy_us"]]


def spin_s(us: int, times: int = 200) -> float:
    """Return the mean seconds that a spin of so many microseconds takes, timed from outside."""
    path = Path(__file__).parent / "plugins" / "variants" / "busy.py"
    spec = importlib.util.spec_from_file_location("busy", path)
    assert spec is not None and spec.loader is not None
    busy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(busy)
    begin = time.perf_counter()
    for _ in range(times):
        busy.spin(us * 1e-6)
    return (time.perf_counter() - begin) / times


def judged(
    lines: Sequence[Line], keys: Sequence[str], slowdowns: Sequence[float] = SLOWDOWNS
) -> list[Row]:
    """Return a row per slowed row of every try: the speed-up's interval and the outcome.

    Args:
        keys: the reference's, then those of the slowed rows in the order of `slowdowns`.
    """
    planted = zip(slowdowns, keys[1:], strict=True)
    return by_try(lines, [({"planted": slowdown}, key, keys[0]) for slowdown, key in planted])


def summary(found: Sequence[Row], truths: Mapping[float, float]) -> list[Row]:
    """Return a row per slowdown: the true speed-up, what was measured, the outcomes, the width."""
    rows = []
    for planted, truth in truths.items():
        mine = [row for row in found if row["planted"] == planted]
        intervals = [row["speedup"] for row in mine]
        outcomes = [row["outcome"] for row in mine]
        rows.append(
            {
                "planted": planted,
                "true_speedup": truth,
                "tries": len(mine),
                "speedup_median": median([i.value for i in intervals]) if mine else None,
                "half_width_median": median([i.half_width for i in intervals]) if mine else None,
                "covered": sum(i.low <= truth <= i.high for i in intervals),
                **{name: outcomes.count(name) for name in ("slower", "faster", "same")},
                "inconclusive": outcomes.count("inconclusive"),
            }
        )
    return rows


def _rows(config: RunConfig, spins: Sequence[int]) -> tuple[RowPlan, ...]:
    return (row_of(config, "fp32"), *(row_of(config, f"busy={us}") for us in spins))


def main(argv: list[str]) -> None:
    """Entry point; see the module's text."""
    full_form = (
        f"some 24 minutes: {TRIES} tries of {GENERATIONS_A_TRY} generations of 14 s;"
        " it goes on where it was stopped"
    )
    made = parser("power", __doc__, full_form=full_form)
    made.add_argument("--tries", type=int, default=TRIES, help="five generations each")
    options = parse(made, argv)
    use_plugins()
    config, environment = base("cpu", "baseline")
    # without loader workers: behind a wait for batches, spins would cost nothing and be no slowdown
    config = replace(config, num_workers=0)
    if options.small:
        config = smallest(config)
    make_data(config)
    watch = Watch()
    slowdowns = SLOWDOWNS[-1:] if options.small else SLOWDOWNS
    spins = calibrated(config, slowdowns, options.out, environment, small=options.small)
    planned = _rows(config, spins)
    count = 1 if options.small else options.tries * GENERATIONS_A_TRY
    lines = run_generations(planned, count, options.out, environment, small=options.small)
    watch.mark()
    keys = [row.key for row in planned]
    reference_s = statistics.fmean(line["rows"][keys[0]]["epoch_s"] for line in lines)
    spun_s = [spin_s(us) for us in spins]
    added = [config.steps_per_epoch * s / reference_s for s in spun_s]
    truths = {planted: 1 / (1 + a) for planted, a in zip(slowdowns, added, strict=True)}
    found = judged(lines, keys, slowdowns)
    rows = summary(found, truths)
    largest = rows[-1]
    beside, blocks = disturbed(lines)
    answer = Answer(
        name="power",
        title="Planted slowdowns: how often they are found",
        rows=rows,
        columns=(
            ("Planted", lambda r: units.share(r["planted"])),
            ("True speed-up", lambda r: f"{r['true_speedup']:.4f}"),
            ("Measured (median)", lambda r: _digits(r["speedup_median"])),
            ("± (median)", lambda r: _digits(r["half_width_median"])),
            ("Interval holds truth", lambda r: f"{r['covered']} of {r['tries']}"),
            ("Found slower", lambda r: f"{r['slower']} of {r['tries']}"),
            ("Called faster", lambda r: str(r["faster"])),
            ("Same", lambda r: str(r["same"])),
            ("Inconclusive", lambda r: str(r["inconclusive"])),
        ),
        targets=(
            Target(
                name="a true 10 % slowdown found",
                wanted="at least 18 of 20",
                measured=f"{largest['slower']} of {largest['tries']}",
                met=_at_least(largest["slower"], largest["tries"]),
            ),
            Target(
                name="slowdowns called faster",
                wanted="never",
                measured=f"{sum(row['faster'] for row in rows)} of {len(found)}",
                met=_never(sum(row["faster"] for row in rows), largest["tries"]),
            ),
        ),
        remarks=(
            f"{config.arch}, batch {config.batch_size}, {config.steps_per_epoch} steps an epoch of"
            f" {units.seconds(reference_s)}; spins of"
            f" {', '.join(f'{us} µs (timed: {1e6 * s:.1f})' for us, s in zip(spins, spun_s, strict=True))}"
            " a step",
            f"{len(lines)} generations of {len(planned)} processes,"
            f" {units.seconds(median([line['cost_s'] for line in lines]))} each (median);"
            f" a try of {GENERATIONS_A_TRY} lies within bench's default budget for four rows, 240 s",
        ),
        warnings=[foreign_load(beside, blocks, "blocks")] if beside else watch.warnings(),
        details={"busy_us": spins, "spin_s": spun_s, "tries": found, "generations": len(lines)},
    )
    publish(answer, options, argv, environment)


def _at_least(found: int, of: int) -> bool | None:
    return found >= FOUND_SHARE * of if of >= TRIES else None


def _never(found: int, of: int) -> bool | None:
    return False if found else (True if of >= TRIES else None)


def _digits(value: float | None) -> str:
    return units.MISSING if value is None else f"{value:.4f}"


if __name__ == "__main__":
    run(main)
