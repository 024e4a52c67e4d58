"""Somebody else's load."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import blocks, evidence

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.rules.disturbed import check


def beside(count: int) -> Evidence:
    """Twelve blocks, so many of them disturbed."""
    stretches = blocks("real", 0.1)
    return replace(
        evidence(),
        stretches=tuple(replace(s, disturbed=n < count) for n, s in enumerate(stretches)),
    )


@pytest.mark.parametrize(
    ("count", "severity"), [(0, None), (3, None), (4, "moderate"), (6, "high")]
)
def test_more_than_a_quarter_of_the_blocks(count: int, severity: str | None) -> None:
    """Three of twelve are a quarter, and not more."""
    found = check(beside(count))
    assert (None if found is None else found.severity) == severity
    if found is not None:
        assert found.share == pytest.approx(count / 12) and found.removable_s is None
        assert found.evidence == (f"{count} of 12 blocks ran beside somebody else's load.",)


def test_abstains_without_its_signal() -> None:
    """A row of which no blocks are known."""
    assert check(evidence()) is None
