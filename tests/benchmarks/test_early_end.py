"""benchmarks/early_end.py: its small form, and that it simulates the rules that a bench keeps."""

from __future__ import annotations

import math
from pathlib import Path

import early_end
import numpy as np
import pytest
from benchmark_process import small

from perfkit import stats
from perfkit.stats import CONFIDENCE, EARLY_END_CONFIDENCE, MIN_GENERATIONS


def test_small_form(tmp_path: Path) -> None:
    """A row per quantile, the plain one and the chosen one among them."""
    answer = small(tmp_path, "early_end")
    confidences = [row["confidence"] for row in answer["rows"]]
    assert confidences == sorted(confidences)
    assert {CONFIDENCE, EARLY_END_CONFIDENCE} <= set(confidences)
    assert answer["details"] == {"studies": early_end.SMALL_STUDIES, "seed": early_end.SEED}


@pytest.mark.parametrize("true", [1.0, 1.23])
def test_simulated_rules_are_those_of_a_bench(true: float) -> None:
    """Every one of two hundred studies ends where, and as, the functions that bench calls say."""
    logs = np.random.default_rng(5).normal(math.log(true), 0.03, (200, 8))
    at = early_end.ends(logs, EARLY_END_CONFIDENCE, [5, 8])
    assert list(at) == [5, 8]
    for budget, end in at.items():
        called = early_end.called(end)
        for number, study in enumerate(logs.tolist()):
            for count in range(MIN_GENERATIONS, budget + 1):
                interval = stats.ratio_interval(study[:count], EARLY_END_CONFIDENCE)
                if stats.settled(interval, count):
                    break
            assert end["generations"][number] == count
            assert end["low"][number] == pytest.approx(interval.low)
            outcome = stats.outcome(interval, count)
            assert called[number] == (outcome in ("faster", "slower"))


def test_the_chosen_quantile_keeps_its_promise() -> None:
    """At most 5 % of identical rows are called different; the plain quantile has more; 1.23× ends early."""
    rows = {row["confidence"]: row for row in early_end.rows_of(20_000)}
    assert rows[CONFIDENCE]["wrong_share"] > 0.07
    assert rows[EARLY_END_CONFIDENCE]["wrong_share"] <= 0.05
    assert rows[EARLY_END_CONFIDENCE]["missed_share"] <= 0.05
    assert [target.met for target in early_end.targets(list(rows.values()))] == [True, True, True]
