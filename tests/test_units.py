"""Numbers as text."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0.0, "0 s"), (0.0834, "83.4 ms"), (12.34, "12.3 s"), (9.9996, "10.0 s"),
        (4.2e-7, "420 ns"),
        (90.0, "90.0 s"), (600.0, "10 min"), (1880.0, "31 min 20 s"), (7500.0, "2 h 5 min"),
    ],
)  # fmt: skip
def test_seconds(value: float | None, text: str) -> None:
    """A duration alone gets the unit that suits it."""
    assert units.seconds(value) == text


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([], "s"), ([None, 0.0], "s"), ([28.1, 0.9], "s"), ([0.219, 0.164], "ms"),
        ([28.1, 0.05], "s"), ([1873.0, 940.0], "min"), ([1873.0, 0.2], "s"),
        ([28.1, 0.0005], "ms"), ([40_000.0], "h"), ([2e-12], "ns"),
    ],
)  # fmt: skip
def test_a_column_has_one_unit(values: list[float | None], unit: str) -> None:
    """The largest value's unit, unless the smallest would vanish in it."""
    assert units.time_unit(values)[1] == unit


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0 MiB"), (1000, "1000 B"), (2048, "2.00 KiB"), (1.42 * 2**30, "1.42 GiB")],
)
def test_size(value: float | None, text: str) -> None:
    """Sizes have binary units."""
    assert units.size(value) == text


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (None, 1.0, "–"), (28.134, None, "28.1"), (28.134, 0.53, "28.1 ± 0.5"),
        (28.134, 5.3, "28 ± 5"), (28.134, 0.012, "28.134 ± 0.012"),
        (123_456.0, 40.0, "123\u202f456 ± 40"),
        # half of a ten-thousandth and less is rounding
        (28.134, 0.0, "28.1"), (0.0, 0.0, "0"), (1.0, 0.99e-4, "1.00"), (1.0, 1.01e-4, "1.0000 ± 0.0001"),
    ],
)  # fmt: skip
def test_digits_follow_the_interval(value: float | None, half: float | None, text: str) -> None:
    """A value has the digits that its interval leaves meaning in."""
    assert units.with_error(value, half) == text


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ((1.342, 1.29, 1.4), "1.34× [1.29–1.40]"),
        ((1.34, 0.9, 1.7), "1.3× [0.9–1.7]"),
        ((1.342, 1.33, 1.354), "1.342× [1.330–1.354]"),
        ((1.03, 1.004, 1.07), "1.030× [1.004–1.070]"),
        ((1.34, None, None), "1.34× "),
        ((1.3247, 1.3247 - 1e-9, 1.3247 + 1e-9), "1.32× "),
        ((1.3247, 1.3246, 1.3248), "1.32× "),
        ((1.3247, 1.3243, 1.3251), "1.325× [1.324–1.325]"),
    ],
)
def test_ratio_interval(interval: tuple[float, float, float], text: str) -> None:
    """A ratio likewise; a bound next to 1 is never rounded onto it."""
    assert " ".join(units.ratio_interval(*interval)) == text


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_formats_are_never_in_exponent_form(value: float, half: float) -> None:
    """Whatever the size of a number, a reader gets decimals."""
    for text in (units.seconds(value), units.with_error(value, half), units.significant(value)):
        assert "e" not in text.replace("–", "")


@given(st.lists(st.floats(1e-9, 1e6), min_size=1))
def test_a_shared_unit_suits_every_value(values: list[float]) -> None:
    """In the shared unit no value is below a hundredth, down to nanoseconds."""
    scale, name = units.time_unit(values)
    assert name == "ns" or min(values) >= 0.01 * scale * (1 - 1e-12)
    assert math.isfinite(scale)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (12.0, "12.0"), (3.02e6, "3.02 M"), (1.2e9, "1.20 G")]
)
def test_count(value: float | None, text: str) -> None:
    """Large counts have SI prefixes."""
    assert units.count(value) == text


def test_share_and_rate() -> None:
    """Shares are per cent; rates have three digits and thin spaces."""
    assert (units.share(None), units.share(0.244), units.share(0.0002, 2)) == (
        "–",
        "24 %",
        "0.02 %",
    )
    assert (units.rate(None), units.rate(83.44), units.rate(12_345.6)) == (
        "–",
        "83.4",
        "12\u202f346",
    )
