"""Quantiles, t intervals and outcomes, against tables and sums by hand."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit import stats
from perfkit.stats import Interval

HALF = 3.182446 * math.sqrt(5 / 3) / 2
"""Of 1, 2, 3, 4: t(0.975, 3) × s / √4, with s² = 5/3."""
values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("confidence", "degrees", "t"),
    [
        (0.95, 1, 12.7062), (0.95, 2, 4.3027), (0.95, 3, 3.1824), (0.95, 4, 2.7764),
        (0.95, 9, 2.2622), (0.95, 30, 2.0423), (0.95, 120, 1.9799), (0.95, 1e6, 1.9600),
        (0.99, 3, 5.8409), (0.90, 5, 2.0150), (0.50, 1, 1.0000), (0.999, 10, 4.5869),
    ],
)  # fmt: skip
def test_t_is_the_tables(confidence: float, degrees: float, t: float) -> None:
    """Two-sided quantiles as the tables print them (Abramowitz & Stegun, table 26.10)."""
    assert round(stats.t_quantile(confidence, degrees), 4) == t


@given(st.floats(0.01, 0.999), st.floats(0.5, 1e4))
def test_t_falls_with_degrees_and_grows_with_confidence(confidence: float, degrees: float) -> None:
    """Fractional degrees of freedom included."""
    t = stats.t_quantile(confidence, degrees)
    assert stats.t_quantile(confidence, degrees * 1.5) < t
    assert stats.t_quantile((1 + confidence) / 2, degrees) > t


@pytest.mark.parametrize(
    ("confidence", "degrees"), [(0, 3), (1, 3), (1.5, 3), (0.95, 0), (0.95, -1)]
)
def test_t_of_nothing(confidence: float, degrees: float) -> None:
    """There is no such quantile."""
    with pytest.raises(ValueError, match=r"confidence|degrees"):
        stats.t_quantile(confidence, degrees)


def test_mean_interval_by_hand() -> None:
    """The interval of 1, 2, 3, 4."""
    interval = stats.mean_interval([1, 2, 3, 4])
    assert interval.value == 2.5
    assert interval.low == pytest.approx(2.5 - HALF, rel=1e-6)
    assert interval.high == pytest.approx(2.5 + HALF, rel=1e-6)
    assert interval.half_width == pytest.approx(2.0543, rel=1e-4)


def test_welch_by_hand() -> None:
    """Of 1, 3 and 0, 2, 4: s²/n is 1 and 4/3, so (7/3)² ÷ (1/1 + (4/3)²/2) = 49/17 degrees of freedom."""
    interval = stats.welch_ratio([0.01, 0.03], [0.0, 0.02, 0.04])
    half = stats.t_quantile(0.95, 49 / 17) * math.sqrt(7 / 3) / 100
    assert interval.value == 1.0
    assert interval.high == pytest.approx(math.exp(half), rel=1e-12)
    assert interval.low == pytest.approx(math.exp(-half), rel=1e-12)


def test_neighbours_that_are_alike_count_for_less() -> None:
    """By hand for one series; independent values count whole, a ramp next to nothing."""
    zigzag = [0.0, 1.0] * 6
    assert stats.effective_sizes(zigzag, zigzag[:10]) == (12.0, 10.0)
    ramp = [float(n) for n in range(12)]
    # r of a ramp of 12 is 0.75, put right to 1.25: held at 0.9
    assert stats.effective_sizes(ramp) == (2.0,)
    blocks = [0.0, 0.0, 1.0, 1.0] * 5
    r = (20 * 1 / 20 + 1) / 16
    assert stats.effective_sizes(blocks) == (pytest.approx(20 * (1 - r) / (1 + r)),)
    assert stats.effective_sizes([1.0] * 4) == (2.0,)
    assert stats.effective_sizes([1.0] * 40)[0] == pytest.approx(40 * (36 - 1) / (36 + 1))


def test_welch_with_fewer_independent_values_is_wider() -> None:
    """As wide as that of as many values of the same variance."""
    over, under = [0.0, 0.2] * 6, [0.0, 0.1] * 6
    whole = stats.welch_ratio(over, under)
    half = stats.welch_ratio(over, under, sizes=(6, 6))
    assert stats.welch_ratio(over, under, sizes=(12, 12)) == whole
    assert half.value == whole.value
    wider = math.sqrt(2) * stats.t_quantile(0.95, 7.35) / stats.t_quantile(0.95, 16.18)
    assert math.log(half.high / half.low) / math.log(whole.high / whole.low) == pytest.approx(
        wider, rel=1e-3
    )


def test_welch_at_its_edges() -> None:
    """One value has no bounds, samples that do not stray have none but themselves, none is an error."""
    assert stats.welch_ratio([1.0], [0.0, 0.1]) == Interval(math.exp(1.0 - 0.05))
    same = stats.welch_ratio([0.5, 0.5], [0.0, 0.0])
    assert same.low == same.value == same.high == math.exp(0.5)
    for over, under in (([], [1.0]), ([1.0], [])):
        with pytest.raises(ValueError, match="no values"):
            stats.welch_ratio(over, under)


@given(values, values)
def test_welch_has_its_value_between_its_bounds(over: list[float], under: list[float]) -> None:
    """Also where the exponential would not fit into a float."""
    interval = stats.welch_ratio(over, under)
    if interval.low is not None and interval.high is not None:
        assert 0 < interval.low <= interval.value <= interval.high < math.inf


def test_ratio_interval_by_hand() -> None:
    """A geometric mean; the interval is the logarithms' and so not symmetric."""
    ratios = stats.ratio_interval([0.1, 0.2, 0.3, 0.4])
    assert ratios.value == pytest.approx(math.exp(0.25))
    assert ratios.low == pytest.approx(math.exp(0.25 - HALF / 10), rel=1e-6)
    assert ratios.high == pytest.approx(math.exp(0.25 + HALF / 10), rel=1e-6)


def test_one_value_has_no_bounds() -> None:
    """And none has no mean."""
    assert stats.mean_interval([3.0]) == Interval(3.0)
    assert stats.ratio_interval([0.0]) == Interval(1.0)
    assert Interval(3.0).half_width is None
    for function in (stats.mean_interval, stats.ratio_interval, stats.median):
        with pytest.raises(ValueError, match="no values"):
            function([])


@given(st.lists(st.floats(-40, 40), min_size=2, max_size=10))
def test_a_ratio_and_its_inverse_have_inverse_intervals(logs: list[float]) -> None:
    """Which row is the reference does not change what is known; wild logarithms stay finite."""
    one, other = stats.ratio_interval(logs), stats.ratio_interval([-log for log in logs])
    assert one.low is not None
    assert one.high is not None
    assert one.low <= one.value <= one.high
    assert other.high == pytest.approx(1 / one.low)
    assert other.value == pytest.approx(1 / one.value)


@pytest.mark.parametrize(
    ("value", "low", "high", "repetitions", "outcome"),
    [
        (1.01, 1.0001, 1.02, 4, "faster"),
        (1.0099, 1.0001, 1.02, 4, "same"),  # sure, and too small to be called
        (1.3, 1.0, 1.6, 4, "inconclusive"),  # the interval holds 1
        (1.3, 1.0001, 1.6, 4, "faster"),
        (1.3, 1.2, 1.4, 3, "inconclusive"),  # too few generations
        (1 / 1.01, 0.98, 0.9999, 4, "slower"),
        (0.9902, 0.98, 0.9999, 4, "same"),
        (0.8, 0.6, 1.0, 4, "inconclusive"),
        (1.0, 0.97, 1.03, 4, "same"),
        (1.0, 0.9699, 1.03, 4, "inconclusive"),
        (1.0, 0.97, 1.0301, 4, "inconclusive"),
        (1.0, 1.0, 1.0, 99, "same"),
        (1.005, 1.001, 1.04, 9, "inconclusive"),
        (1.3, None, None, 9, "inconclusive"),
    ],
)
def test_outcomes_at_their_boundaries(
    value: float, low: float | None, high: float | None, repetitions: int, outcome: str
) -> None:
    """At every threshold and just beside it."""
    assert stats.outcome(Interval(value, low, high), repetitions) == outcome


@pytest.mark.parametrize(
    ("series", "agree"),
    [
        ([], True),
        ([1, 9], True),
        ([1, 1, 9], True),  # halves of one value have no noise to be held against
        ([1.0, 1.0, 1.05, 1.05], True),
        ([1.0, 1.0, 1.06, 1.06], False),
        ([1.06, 1.06, 1.0, 1.0], False),
        ([0.5, 1.5, 0.8, 1.8], True),  # noise is wider than the step
        ([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7], False),  # a trend
        ([1.0, 1.0, 1.1, 1.1, 1.1], False),  # the odd one belongs to the second half
    ],
)
def test_halves(series: list[float], agree: bool) -> None:
    """Within 5 % or twice the noise: a step or a trend is not steady."""
    assert stats.halves_agree(series) is agree


@pytest.mark.parametrize(
    ("q", "expected"), [(0, 1), (0.1, 1.3), (0.5, 2.5), (0.9, 3.7), (1, 4), (1 / 3, 2)]
)
def test_quantiles_by_hand(q: float, expected: float) -> None:
    """Linear between neighbours, in whatever order the values come."""
    assert stats.quantile([3, 1, 4, 2], q) == pytest.approx(expected)


@given(values, st.floats(0, 1))
def test_a_quantile_lies_among_the_values(numbers: list[float], q: float) -> None:
    """Between the least and the greatest, but for the last bit; equal values give themselves."""
    at = stats.quantile(numbers, q)
    assert math.nextafter(min(numbers), -math.inf) <= at <= math.nextafter(max(numbers), math.inf)
    assert stats.quantile([numbers[0]] * 5, q) == numbers[0]


@given(values)
def test_the_mean_lies_in_its_interval(numbers: list[float]) -> None:
    """And in the middle of it."""
    interval = stats.mean_interval(numbers)
    assert interval.value == fmean(numbers)
    if interval.low is not None and interval.high is not None:
        assert interval.low <= interval.value <= interval.high


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        (math.nan, None, None), (math.inf, None, None), (1, 0, None), (1, None, 2), (1, 2, 0),
        (1, math.nan, 2), (1, 0, math.nan),
    ],
)  # fmt: skip
def test_what_is_no_interval(value: float, low: float | None, high: float | None) -> None:
    """A missing value is None, and bounds come in pairs."""
    with pytest.raises(ValueError, match=r"value|bounds|low"):
        Interval(value, low, high)


@pytest.mark.parametrize(
    ("value", "half", "settled"),
    [
        (1.0, 0.0199, True),
        (1.0, 0.0201, False),
        (1.23, 1.23 * 0.0574, True),
        (1.23, 1.23 * 0.0576, False),
        (0.5, 0.5 * 0.1249, True),
        (0.5, 0.5 * 0.1251, False),
    ],
)
def test_settled_by_width_alone(value: float, half: float, settled: bool) -> None:
    """2 % of the ratio, or a quarter of the effect where that is more; never by what it excludes."""
    interval = Interval(value, value - half, value + half)
    assert stats.settled(interval, 4) is settled
    assert stats.settled(interval, 3) is False


def test_no_bounds_settle_nothing() -> None:
    """One value has no interval."""
    assert stats.settled(Interval(1.2), 9) is False


def test_values_that_are_worth_fewer_have_a_wider_interval() -> None:
    """Nine that are worth four: t of three degrees, and the root of four in place of nine."""
    values = [1.0, 2.0, 3.0] * 3
    plain, dependent = stats.mean_interval(values), stats.mean_interval(values, size=4.0)
    assert plain == stats.mean_interval(values, size=9.0)
    assert plain.low is not None and dependent.low is not None
    ratio = (dependent.value - dependent.low) / (plain.value - plain.low)
    assert ratio == pytest.approx(3.1824 / 2.3060 * 3 / 2, rel=1e-4)
