"""Studies that end as soon as their intervals are narrow: what looking every time costs, simulated.

Two identical rows are compared generation by generation, from the fourth on, until `perfkit.stats.settled`
says that it is enough or the budget is spent, and judged as `perfkit bench` judges them. Nothing differs, so
every `faster` or `slower` is wrong; beside it stands how often the interval misses the truth. At the plain
quantile of 95 % both are more than 5 %. `EARLY_END_CONFIDENCE` is the quantile at which neither is, and 1.23×
shows what ending early saves. Log ratios of generations are drawn from normal distributions of 1 to 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from _common import Answer, Row, Target, parse, parser, publish, run

from perfkit.engine.questions import survey
from perfkit.stats import (
    CONFIDENCE,
    EARLY_END_CONFIDENCE,
    EFFECT,
    MIN_GENERATIONS,
    SETTLED_EFFECT_SHARE,
    SETTLED_WITHIN,
    t_quantile,
)

STUDIES, SMALL_STUDIES = 100_000, 2_000
SPREADS = (0.01, 0.02, 0.03, 0.04, 0.05)
BUDGETS = (5, 6, 8, 10, 12, 16)
"""Generations that the budget holds."""
CONFIDENCES = (CONFIDENCE, 0.96, 0.97, 0.975, EARLY_END_CONFIDENCE, 0.98)
TRUE_EFFECT = 1.23
MOST_WRONG_SHARE = 0.05
SEED = 1
Ends = dict[str, Any]
"""Arrays over studies at their end: `value`, `low`, `high` of the ratio and `generations`."""


def ends(logs: np.ndarray, confidence: float, budgets: Sequence[int]) -> dict[int, Ends]:
    """Return how studies end, by the generations that their budget holds.

    The same rules as `perfkit.stats.ratio_interval` and `settled`, for many studies at once.

    Args:
        logs: log ratios, a row per study and a column per generation.
    """
    studies = len(logs)
    over = np.zeros(studies, bool)
    last: Ends = {"generations": np.zeros(studies, int)}
    last |= {name: np.zeros(studies) for name in ("value", "low", "high")}
    found = {}
    for count in range(MIN_GENERATIONS, max(budgets) + 1):
        seen = logs[:, :count]
        centre = seen.mean(1)
        half = t_quantile(confidence, count - 1) * seen.std(1, ddof=1) / math.sqrt(count)
        now = {
            "value": np.exp(centre),
            "low": np.exp(centre - half),
            "high": np.exp(centre + half),
            "generations": np.full(studies, count),
        }
        last = {name: np.where(over, last[name], value) for name, value in now.items()}
        relative = (last["high"] - last["low"]) / 2 / last["value"]
        effect = np.abs(last["value"] - 1)
        over |= relative <= np.maximum(SETTLED_WITHIN, SETTLED_EFFECT_SHARE * effect)
        if count in budgets:
            found[count] = last
    return found


def called(end: Ends) -> np.ndarray:
    """Return which studies say `faster` or `slower`, as `perfkit.stats.outcome` does."""
    faster = (end["low"] > 1) & (end["value"] >= 1 + EFFECT)
    slower = (end["high"] < 1) & (end["value"] <= 1 / (1 + EFFECT))
    return np.asarray(faster | slower)


def rows_of(studies: int) -> list[Row]:
    """Return a row per confidence: the worst of all spreads and budgets, and what a true effect takes."""
    draw = np.random.default_rng(SEED)
    shape = (studies, max(BUDGETS))
    nulls = {spread: draw.normal(0, spread, shape) for spread in SPREADS}
    effects = {s: draw.normal(math.log(TRUE_EFFECT), s, shape) for s in SPREADS}
    found = []
    for confidence in sorted(set(CONFIDENCES)):
        wrong, missed, taken = [], [], []
        for spread in SPREADS:
            for budget, end in ends(nulls[spread], confidence, BUDGETS).items():
                excluded = (end["low"] > 1) | (end["high"] < 1)
                wrong.append((float(called(end).mean()), spread, budget))
                missed.append(float(excluded.mean()))
            of_effect = ends(effects[spread], confidence, BUDGETS)[max(BUDGETS)]
            taken.append(float(of_effect["generations"].mean()))
        worst, spread, budget = max(wrong)
        found.append(
            {
                "confidence": confidence,
                "wrong_share": worst,
                "worst_spread": spread,
                "worst_budget": budget,
                "missed_share": max(missed),
                "generations_of_effect": dict(zip(map(str, SPREADS), taken, strict=True)),
            }
        )
    return found


def targets(rows: Sequence[Row]) -> list[Target]:
    """Hold the row of `EARLY_END_CONFIDENCE` against what it is for."""
    (chosen,) = [row for row in rows if row["confidence"] == EARLY_END_CONFIDENCE]
    longest = max(chosen["generations_of_effect"].values())
    return [
        Target(
            name="identical rows called faster or slower",
            wanted="at most 5 %",
            measured=f"{100 * chosen['wrong_share']:.1f} %",
            met=chosen["wrong_share"] <= MOST_WRONG_SHARE,
        ),
        Target(
            name="intervals that miss the truth",
            wanted="at most 5 %",
            measured=f"{100 * chosen['missed_share']:.1f} %",
            met=chosen["missed_share"] <= MOST_WRONG_SHARE,
        ),
        Target(
            name=f"generations of a true {TRUE_EFFECT}×",
            wanted=f"fewer than the {max(BUDGETS)} of the budget",
            measured=f"{longest:.1f} (mean, at the widest spread)",
            met=longest < max(BUDGETS),
        ),
    ]


def main(argv: list[str]) -> None:
    """Entry point; see the module's text."""
    options = parse(parser("early_end", __doc__, full_form="a quarter of a minute"), argv)
    studies = SMALL_STUDIES if options.small else STUDIES
    rows = rows_of(studies)
    answer = Answer(
        name="early_end",
        title="Ending early: identical rows called different",
        rows=rows,
        columns=(
            ("Quantile", lambda r: f"{100 * r['confidence']:g} %"),
            ("Called different (worst)", lambda r: f"{100 * r['wrong_share']:.1f} %"),
            ("at spread", lambda r: f"{100 * r['worst_spread']:.0f} %"),
            ("and budget", lambda r: f"{r['worst_budget']} generations"),
            ("Interval misses (worst)", lambda r: f"{100 * r['missed_share']:.1f} %"),
            (f"Generations of {TRUE_EFFECT}×, at spreads of 1–5 %", _generations),
        ),
        targets=targets(rows),
        remarks=(
            f"{studies} studies for each spread ({_percents(SPREADS)}), budgets of"
            f" {', '.join(map(str, BUDGETS))} generations, seed {SEED}",
        ),
        details={"studies": studies, "seed": SEED},
    )
    publish(answer, options, argv, survey("cpu")["environment"])


def _generations(row: Row) -> str:
    return ", ".join(f"{mean:.1f}" for mean in row["generations_of_effect"].values())


def _percents(shares: Sequence[float]) -> str:
    return ", ".join(f"{100 * share:.0f} %" for share in shares)


if __name__ == "__main__":
    run(main)
