"""Remedies in words: what is predicted, whether it came true, which to try first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_diagnoses import CACHE, HALF, LESS_OFTEN, MORE_WORKERS, PREFETCH

from perfkit.document import Remedy
from perfkit.report.diagnose import gains
from perfkit.stats import Interval

S = (1.0, "s")


@pytest.mark.parametrize(
    ("predicted", "measured", "said"),
    [
        (Interval(2.0, 1.8, 2.2), Interval(1.9, 1.85, 1.95), "as predicted"),
        (Interval(2.0, 1.8, 2.2), Interval(1.7, 1.6, 1.8), "as predicted"),
        (Interval(2.0, 1.8, 2.2), Interval(1.7, 1.6, 1.79), "missed: less than predicted"),
        (Interval(2.0, 1.8, 2.2), Interval(2.4, 2.3, 2.5), "missed: more than predicted"),
        (Interval(2.0, 1.8, 2.2), Interval(1.7), "missed: less than predicted"),
        (Interval(2.0), Interval(1.81), "as predicted"),
        (Interval(2.0), Interval(1.79), "missed: less than predicted"),
        (Interval(2.0), Interval(1.7, 1.3, 2.1), "as predicted"),
        (Interval(1.07), Interval(1.05, 1.04, 1.06), "as predicted"),
        (Interval(1.07), Interval(1.0, 0.98, 1.02), "missed: less than predicted"),
        (None, Interval(1.7), ""),
        (Interval(2.0), None, ""),
    ],
)
def test_a_prediction_holds_where_intervals_meet(
    predicted: Interval | None, measured: Interval | None, said: str
) -> None:
    """Else it is a miss, and which way; without an interval a tenth is allowed, but not all of a gain."""
    remedy = replace(MORE_WORKERS, predicted_speedup=predicted, measured_speedup=measured)
    assert gains.verified(remedy) == said


def test_a_bound_is_held_or_broken() -> None:
    """Less than a bound is what a bound says; slower than now is not."""
    held = replace(CACHE, measured_speedup=Interval(1.1, 1.05, 1.15))
    assert gains.verified(held) == "within the bound"
    slower = replace(CACHE, measured_speedup=Interval(0.9, 0.85, 0.95))
    assert gains.verified(slower) == "missed: less than predicted"
    assert gains.predicted(CACHE) == "up to 2.28×"
    assert gains.saves(CACHE, S) == "up to 15.0 s"


def test_a_gain_is_a_sentence() -> None:
    """What is known of it, how, and what is not known is said."""
    assert gains.sentence(MORE_WORKERS, S) == (
        "num_workers=6: 2.2× [2.0–2.4], saves 14.6 s [13.2–15.4] an epoch (calculated)"
    )
    assert gains.sentence(CACHE, S) == "cache decoded: up to 2.28×, saves up to 15.0 s an epoch"
    assert gains.sentence(PREFETCH, S) == "prefetch_factor=4; what it gains is not known"
    run = replace(MORE_WORKERS, measured_speedup=Interval(2.09, 2.01, 2.17))
    assert gains.sentence(run, S).startswith(
        "num_workers=6: 2.09× [2.01–2.17], measured; predicted"
    )


def test_what_to_try_first() -> None:
    """What leaves the training as it is; of what has run what gained most, never what gained nothing."""
    assert gains.best(()) is None
    assert gains.best((HALF, LESS_OFTEN)) is LESS_OFTEN
    assert gains.best((HALF,)) is HALF
    slower = replace(MORE_WORKERS, measured_speedup=Interval(0.97, 0.95, 0.99))
    better = replace(CACHE, measured_speedup=Interval(1.5, 1.4, 1.6))
    assert gains.best((slower, LESS_OFTEN)) is LESS_OFTEN
    assert gains.best((slower, LESS_OFTEN, better)) is better
    assert gains.best((slower,)) is None


@pytest.mark.parametrize(
    ("name", "variant", "said"),
    [
        ("num_workers", "num_workers=6", "num_workers=6"),
        ("remove_sync", None, "remove sync"),
        ("lighter_arch", "baseline", "lighter arch: baseline"),
    ],
)
def test_a_remedy_is_called_by_its_variant(name: str, variant: str | None, said: str) -> None:
    """A name that the variant does not hold stands before it."""
    assert gains.name_of(Remedy(name=name, variant=variant, basis="bound")) == said


@pytest.mark.parametrize(
    ("snippet", "language"),
    [
        ("export OMP_WAIT_POLICY=passive", "sh"),
        ("OMP_WAIT_POLICY=passive python train.py", "sh"),
        ("\ntorchrun --nproc-per-node 2 train.py", "sh"),
        ("perfkit bench", "sh"),
        ("python_loader = DataLoader()", "python"),
        ("with torch.autocast('cuda'):\n    pass", "python"),
    ],
)
def test_lines_to_paste_have_a_language(snippet: str, language: str) -> None:
    """A shell's are told from Python's by how they begin."""
    assert gains.language(snippet) == language
