"""Collectives between ranks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import CONFIG, evidence

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.rules.communication_bound import HIGH_SHARE, MODERATE_SHARE, check

RANKS = replace(CONFIG, devices=("cpu", "cpu"), parallel="ddp")


def collects(seconds: float) -> Evidence:
    """Steps of 0.1 s with so much communication."""
    phases = {"waiting": 0.0, "forward": 0.04, "backward": 0.06 - seconds}
    return evidence(RANKS, phases_s={**phases, "communication": seconds})


def test_fires_at_its_thresholds() -> None:
    """3 ms of 100 are moderate, 15 high."""
    moderate = check(collects(0.1 * MODERATE_SHARE + 1e-9))
    high = check(collects(0.1 * HIGH_SHARE + 1e-9))
    assert moderate is not None and high is not None
    assert (moderate.severity, high.severity) == ("moderate", "high")
    assert high.removable_s is not None and high.removable_s.value == pytest.approx(1.5)
    assert "every one of 2 ranks spends at least 15.0 ms" in high.evidence[0]


def test_is_silent_just_below() -> None:
    """A little less is no finding."""
    assert check(collects(0.0999 * MODERATE_SHARE)) is None


def test_abstains_without_its_signal() -> None:
    """Ranks whose collectives were not seen, and one process alone."""
    assert check(evidence(RANKS)) is None
    assert check(replace(collects(0.05), config=CONFIG)) is None
