"""Copies to the device."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from evidences import CONFIG, evidence

from perfkit.diagnosis.evidence import Evidence
from perfkit.diagnosis.rules.h2d_bound import HIGH_SHARE, MODERATE_SHARE, check

GPU = replace(CONFIG, devices=("cuda:0",))


def copies(h2d_s: float, config: Any = GPU) -> Evidence:
    """Steps of 0.1 s that copy for so long."""
    phases = {"waiting": 0.0, "h2d": h2d_s, "forward": 0.04, "backward": 0.06 - h2d_s}
    return evidence(config, phases_s=phases, phases_clock="device")


def test_fires_at_its_thresholds() -> None:
    """5 ms of 100 are moderate, 20 high."""
    moderate = check(copies(0.1 * MODERATE_SHARE + 1e-9))
    high = check(copies(0.1 * HIGH_SHARE + 1e-9))
    assert moderate is not None and high is not None
    assert (moderate.severity, high.severity) == ("moderate", "high")
    assert high.removable_s is not None and high.removable_s.value == pytest.approx(2.0)
    assert "20.0 ms of a step of 100 ms" in high.message
    assert high.evidence == (
        "Batches lie in pageable memory: a copy takes 20.0 ms of the device's time.",
    )


def test_is_silent_just_below() -> None:
    """A little less is no finding."""
    assert check(copies(0.0999 * MODERATE_SHARE)) is None


def test_abstains_without_its_signal() -> None:
    """The phase was not seen."""
    assert check(evidence(GPU)) is None


def test_does_not_apply_to_a_cpu() -> None:
    """There is nothing to copy to."""
    assert check(copies(0.05, CONFIG)) is None


@pytest.mark.parametrize(
    ("pinned", "flags", "advice"),
    [(False, ("pageable",), "--variant pin_memory=1"), (True, (), "uint8")],
)
def test_pinning_is_advised_where_it_is_not_done(
    pinned: bool, flags: tuple[str, ...], advice: str
) -> None:
    """Pinned batches have to become smaller."""
    found = check(copies(0.03, replace(GPU, pin_memory=pinned)))
    assert found is not None and found.flags == flags and advice in found.try_next
