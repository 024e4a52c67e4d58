"""Repeatability (A/A): four processes of one and the same training in every generation, two pairs.

Five generations are one try and give two pairs with an interval each, judged as `perfkit bench` judges
a row against its reference. Nothing differs, so every `faster` or `slower` is wrong. From the same
generations: how much step times spread within a process and between processes, and how wide the
interval is after so many generations, that is after so much time.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
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
    ratio,
    run,
)
from _engine import GENERATIONS_A_TRY, Line, by_try, disturbed, log_ratios, smallest
from _engine import run as run_generations

from perfkit import units
from perfkit.config import RunConfig
from perfkit.engine.plan import RowPlan
from perfkit.stats import MIN_GENERATIONS, median, ratio_interval

TRIES = 10
MOST_WRONG_SHARE = 3 / 20
Pairs = tuple[tuple[str, str], ...]
PAIRS: Pairs = (("a1", "a2"), ("b1", "b2"))
WIDTHS_AFTER = (4, 5, 6, 8, 10, 15, 20, 25)
"""Generations after which the width of the interval is looked at."""


def copies(config: RunConfig, pairs: Pairs) -> tuple[RowPlan, ...]:
    """Return rows that differ in their keys alone."""
    return tuple(
        RowPlan(key=name, arch=config.arch, variant="fp32", config=config)
        for pair in pairs
        for name in pair
    )


def judged(lines: Sequence[Line], pairs: Pairs = PAIRS) -> list[Row]:
    """Return a row per pair of every try: the ratio, its interval and the outcome."""
    return by_try(
        lines, [({"pair": f"{first} {second}"}, second, first) for first, second in pairs]
    )


def spreads(lines: Sequence[Line]) -> dict[str, float]:
    """Return standard deviations of log step times: between blocks of a process, and between processes.

    Between processes is what is left of the spread of the four means of a generation once the spread
    that their blocks explain is taken off.
    """
    within, between = [], []
    for line in lines:
        logs = [[math.log(s) for s in row["steps_s"]] for row in line["rows"].values()]
        noise = statistics.fmean(statistics.variance(one) for one in logs)
        blocks = statistics.fmean(len(one) for one in logs)
        means = [statistics.fmean(one) for one in logs]
        within.append(noise)
        between.append(statistics.variance(means) - noise / blocks)
    return {
        "within_process": math.sqrt(statistics.fmean(within)),
        "between_processes": math.sqrt(max(0.0, statistics.fmean(between))),
    }


def widths(lines: Sequence[Line], pairs: Pairs = PAIRS) -> list[dict[str, Any]]:
    """Return the median half-width of the interval after n generations, and what those cost."""
    cost_s = median([line["cost_s"] for line in lines])
    found = []
    for size in (n for n in WIDTHS_AFTER if MIN_GENERATIONS <= n <= len(lines)):
        chunks = [lines[i : i + size] for i in range(0, len(lines) - size + 1, size)]
        halves = [
            ratio_interval(log_ratios(chunk, second, first)).half_width or 0.0
            for chunk in chunks
            for first, second in pairs
        ]
        found.append(
            {"generations": size, "half_width": median(halves), "seconds": size * cost_s / 2}
        )
    return found


def main(argv: list[str]) -> None:
    """Entry point; see the module's text."""
    full_form = (
        f"some twelve minutes: {TRIES} tries of {GENERATIONS_A_TRY} generations of 14 s;"
        " it goes on where it was stopped"
    )
    made = parser("repeatability", __doc__, full_form=full_form)
    made.add_argument("--tries", type=int, default=TRIES, help="each gives two pairs")
    options = parse(made, argv)
    config, environment = base("cpu", "baseline")
    if options.small:
        config = smallest(config)
    make_data(config)
    count = 1 if options.small else options.tries * GENERATIONS_A_TRY
    pairs = PAIRS[:1] if options.small else PAIRS
    planned = copies(config, pairs)
    watch = Watch()
    lines = run_generations(planned, count, options.out, environment, small=options.small)
    watch.mark()
    rows = judged(lines, pairs)
    wrong = [row for row in rows if row["outcome"] in ("faster", "slower")]
    spread = spreads(lines)
    beside, blocks = disturbed(lines)
    half_widths = widths(lines, pairs)
    answer = Answer(
        name="repeatability",
        title="A/A: identical trainings against each other",
        rows=rows,
        columns=(
            ("Try", lambda r: str(r["try"])),
            ("Pair", lambda r: r["pair"]),
            ("Speed-up [95 %]", lambda r: ratio(r["speedup"])),
            ("Outcome", lambda r: r["outcome"]),
        ),
        targets=(
            Target(
                name="pairs called faster or slower",
                wanted="at most 3 of 20",
                measured=f"{len(wrong)} of {len(rows)}",
                met=len(wrong) <= MOST_WRONG_SHARE * len(rows) if len(rows) >= 20 else None,
            ),
        ),
        remarks=(
            f"{config.arch}, batch {config.batch_size}, loader workers: {config.num_workers};"
            f" {len(lines)} generations of {len(planned)} processes,"
            f" {units.seconds(median([line['cost_s'] for line in lines]))} each (median)",
            f"step times spread by {100 * spread['within_process']:.1f} % between blocks of a process,"
            f" and by a further {100 * spread['between_processes']:.1f} % between processes"
            " (standard deviations)",
            *(
                f"after {w['generations']} generations of two processes, some"
                f" {units.seconds(w['seconds'])}, the interval is ±{100 * w['half_width']:.1f} % wide"
                " (median)"
                for w in half_widths
            ),
        ),
        warnings=[foreign_load(beside, blocks, "blocks")] if beside else watch.warnings(),
        details={"spread": spread, "widths": half_widths, "generations": len(lines)},
    )
    publish(answer, options, argv, environment)


if __name__ == "__main__":
    run(main)
