"""A device that slows itself down."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import CONFIG, evidence

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.rules.throttled import MODERATE_SHARE, check

GPU = replace(CONFIG, devices=("cuda:0",))


def told(**telemetry: float | None) -> Evidence:
    """A GPU's row with its telemetry."""
    return replace(evidence(GPU), telemetry=telemetry)


@pytest.mark.parametrize(
    ("share", "severity"),
    [(0.999 * MODERATE_SHARE, None), (MODERATE_SHARE, "moderate"), (0.15, "high")],
)
def test_fires_at_its_thresholds(share: float, severity: str | None) -> None:
    """3 % and 15 % of the time."""
    found = check(told(thermal_slowdown_share=share))
    assert (None if found is None else found.severity) == severity
    assert found is None or (found.removable_s is None and "for heat" in found.message)


def test_a_known_clock_says_what_is_lost() -> None:
    """At 1200 of 2000 MHz, two fifths of computing."""
    found = check(told(power_brake_share=0.5, sm_clock_hz=1.2e9, sm_clock_max_hz=2e9))
    assert found is not None and "for a power brake" in found.message
    assert found.removable_s is not None and found.removable_s.value == pytest.approx(4.0)
    assert found.evidence[1] == "The clock was 1200 MHz of 2000."


def test_abstains_without_its_signal() -> None:
    """No counter was read, it could not be, or there is no such device."""
    assert check(evidence(GPU)) is None
    assert check(told(thermal_slowdown_share=None)) is None
    assert check(replace(told(thermal_slowdown_share=0.5), config=CONFIG)) is None
