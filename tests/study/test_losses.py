"""How far two loss traces lie apart, and how far FP32's own lie apart over seeds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.study.losses import distance, tolerance

TRACES = st.lists(st.floats(0.1, 100), min_size=3, max_size=6)


def test_distance_is_the_largest_of_any_step_in_units_of_the_first() -> None:
    """0.3 apart at the second step, of a first loss of 2: 15 %."""
    assert distance([2.0, 1.3, 0.1], [2.0, 1.0, 0.0]) == pytest.approx(0.15)


def test_near_zero_a_small_difference_stays_small() -> None:
    """Where the loss has come down to nearly nothing, ten times nearly nothing is still nearly nothing."""
    assert distance([4.0, 1e-4], [4.0, 1e-5]) == pytest.approx(9e-5 / 4)


def test_distance_needs_a_common_step() -> None:
    """No losses, or a first loss of zero, give no distance."""
    assert distance([], [1.0]) is None
    assert distance([1.0], []) is None
    assert distance([1.0], [0.0]) is None


def test_tolerance_is_the_widest_pair_of_seeds() -> None:
    """Of three seeds the two farthest apart count."""
    assert tolerance([[2.0, 1.0], [2.0, 1.2], [2.0, 0.6]]) == pytest.approx(0.3)


def test_one_seed_has_no_tolerance() -> None:
    """A spread takes two; nothing is filled in."""
    assert tolerance([]) is None
    assert tolerance([[1.0, 2.0]]) is None


@given(TRACES)
def test_a_trace_is_no_distance_from_itself(trace: list[float]) -> None:
    """The distance to itself is zero."""
    assert distance(trace, trace) == 0


@given(TRACES, st.floats(1.01, 3))
def test_the_unit_of_the_loss_does_not_matter(trace: list[float], unit: float) -> None:
    """Both traces in another unit are as far apart as before."""
    other = [value * 1.1 for value in trace]
    scaled = distance([v * unit for v in other], [v * unit for v in trace])
    assert scaled == pytest.approx(distance(other, trace))


@given(st.lists(TRACES, min_size=2, max_size=4), TRACES)
def test_another_seed_never_narrows_the_tolerance(
    traces: list[list[float]], another: list[float]
) -> None:
    """The tolerance of more seeds is at least that of fewer."""
    assert (tolerance([*traces, another]) or 0) >= (tolerance(traces) or 0)
