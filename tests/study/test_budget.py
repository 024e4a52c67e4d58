"""How many palindromes a generation should have, by the variances and the time that is left."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.stats import EARLY_END_CONFIDENCE, MIN_GENERATIONS, t_quantile
from perfkit.study.budget import PALINDROMES, SAFETY, Costs, best_palindromes, half_width

VARIANCE = st.floats(0, 0.1)


def best(
    fixed_s: float,
    palindrome_s: float,
    left_s: float = 300.0,
    within: float | None = 0.01,
    between: float | None = 0.0,
    done: int = 3,
) -> int | None:
    costs = Costs(fixed_s=fixed_s, palindrome_s=palindrome_s)
    return best_palindromes(done=done, left_s=left_s, costs=costs, within=within, between=between)


def test_the_width_by_hand() -> None:
    """t(3) × √((b + w ÷ p) ÷ n) for four generations of two palindromes."""
    expected = t_quantile(EARLY_END_CONFIDENCE, 3) * math.sqrt((0.0004 + 0.0016 / 2) / 4)
    assert half_width(4, 2, 0.0016, 0.0004) == pytest.approx(expected)


def test_one_generation_has_no_width() -> None:
    """Nothing can be said of the spread of one."""
    assert half_width(1, 4, 0.01, 0.01) == math.inf
    assert half_width(0, 4, 0.01, 0.01) == math.inf


def test_costly_starts_buy_more_palindromes() -> None:
    """Where starting costs much and palindromes little, each start is used to the full."""
    assert best(fixed_s=30, palindrome_s=1) == 4


def test_noise_between_processes_buys_more_processes() -> None:
    """Where palindromes are quiet and processes differ, another palindrome is wasted time."""
    assert best(fixed_s=1, palindrome_s=10, within=0.0, between=0.01) == 1


def test_reaching_four_generations_comes_first() -> None:
    """A palindrome fewer is taken when it makes the fourth generation, without which all is lost."""
    # 4 × (10 + p) × 1.08 fits into 48 s for p = 1 only; three generations of p = 4 would be narrower
    assert half_width(3, 4, 1.0, 0.0) < half_width(4, 1, 1.0, 0.0)
    assert best(fixed_s=10, palindrome_s=1, left_s=48, done=0, within=1.0) == 1


def test_nothing_is_started_that_does_not_fit() -> None:
    """Less time than one generation with one palindrome takes, the margin included: none."""
    assert best(fixed_s=5, palindrome_s=5, left_s=10 * SAFETY - 0.01) is None
    assert best(fixed_s=5, palindrome_s=5, left_s=10 * SAFETY + 0.01) == 1
    assert best(fixed_s=5, palindrome_s=5, left_s=-1) is None


def test_a_variance_of_two_generations_is_not_trusted_yet() -> None:
    """The variance between processes is what was measured before, until three generations tell better."""
    trusted = best(fixed_s=8, palindrome_s=2, between=0.0, within=0.02, done=3)
    assert best(fixed_s=8, palindrome_s=2, between=9.0, within=0.02, done=2) == best(
        fixed_s=8, palindrome_s=2, between=None, within=0.02, done=2
    )
    assert best(fixed_s=8, palindrome_s=2, between=9.0, within=0.02, done=3) == 1 != trusted


@given(
    fixed_s=st.floats(0.1, 30),
    palindrome_s=st.floats(0.1, 30),
    left_s=st.floats(0, 600),
    within=VARIANCE,
    between=VARIANCE,
    done=st.integers(0, 12),
)
def test_what_is_chosen_fits_and_is_best(
    fixed_s: float, palindrome_s: float, left_s: float, within: float, between: float, done: int
) -> None:
    """The choice fits the time, and no other that reaches as many generations is narrower."""
    costs = Costs(fixed_s=fixed_s, palindrome_s=palindrome_s)
    chosen = best(fixed_s, palindrome_s, left_s, within, between, done)
    fitting = [p for p in PALINDROMES if costs.of(p) <= left_s]
    assert (chosen is None) == (not fitting)
    if chosen is None or done < 3:
        return

    def rank(palindromes: int) -> tuple[bool, float]:
        total = done + int(left_s // costs.of(palindromes))
        return total < MIN_GENERATIONS, half_width(total, palindromes, within, between)

    assert chosen in fitting
    assert all(rank(chosen) <= rank(p) for p in fitting)


@given(VARIANCE, VARIANCE, st.integers(2, 30), st.integers(1, 4))
def test_more_of_either_is_never_wider(
    within: float, between: float, generations: int, palindromes: int
) -> None:
    """Another generation or another palindrome makes the interval no wider."""
    here = half_width(generations, palindromes, within, between)
    assert half_width(generations + 1, palindromes, within, between) <= here
    assert half_width(generations, palindromes + 1, within, between) <= here
