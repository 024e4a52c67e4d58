"""Collectives between ranks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import CONFIG, evidence

from perfkit.diagnosis.evidence import Communication, Evidence
from perfkit.diagnosis.rules.communication_bound import HIGH_SHARE, MODERATE_SHARE, check
from perfkit.stats import Interval

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


def test_ranks_that_were_joined_give_their_interval() -> None:
    """And their number, and of how many steps it is known; the row has the device of its own rank only."""
    told = Communication(ranks=4, step_s=Interval(0.02, 0.01, 0.03), waited_s=0.05, sampled_steps=9)
    config = replace(RANKS, devices=("cpu",))
    found = check(replace(collects(0.02), config=config, communication=told))
    assert found is not None and found.removable_s is not None
    low, high = found.removable_s.low, found.removable_s.high
    assert (found.removable_s.value, low, high) == pytest.approx((2.0, 1.0, 3.0))
    assert "every one of 4 ranks spends at least 20.0 ms" in found.evidence[0]
    assert found.evidence[0].endswith("by 9 steps that DistributedDataParallel timed.")
