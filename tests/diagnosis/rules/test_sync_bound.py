"""Calls that wait for the device."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import CONFIG, evidence

from perfkit.diagnosis.evidence import Burst, Evidence
from perfkit.diagnosis.rules.sync_bound import HIGH_SHARE, MODERATE_SHARE, check

GPU = replace(CONFIG, devices=("cuda:0",))
NO_COPIES = {"waiting": 0.0, "transfer": 0.0, "h2d": 0.0, "forward": 0.1}
CALLS = {"train.py:12": 0.1, "train.py:88": 2.0}


def idles(share: float, calls: dict[str, float] | None = None) -> Evidence:
    """The device idles during a share of a step of 0.1 s."""
    burst = Burst(steps=5, busy_share=1 - share, synchronising=CALLS if calls is None else calls)
    return replace(evidence(GPU, phases_s=NO_COPIES), burst=burst)


def test_fires_at_its_thresholds() -> None:
    """And names the most frequent call first."""
    moderate, high = check(idles(MODERATE_SHARE + 1e-9)), check(idles(HIGH_SHARE + 1e-9))
    assert moderate is not None and high is not None
    assert (moderate.severity, high.severity) == ("moderate", "high")
    assert high.stage == "train.py:88"
    assert high.removable_s is not None and high.removable_s.value == pytest.approx(2.0)
    (said,) = high.evidence
    assert said.startswith("train.py:88 waits for the device 2.00 times a step; train.py:12 waits")


def test_is_silent_just_below() -> None:
    """A device that is hardly idle."""
    assert check(idles(0.999 * MODERATE_SHARE)) is None


def test_abstains_without_its_signal() -> None:
    """No profiler, or none that saw such a call: then the host is slow for another reason."""
    assert check(evidence(GPU)) is None
    assert check(idles(0.3, {})) is None


def test_a_call_in_few_steps_is_not_why_the_device_idles() -> None:
    """A loss that is read every tenth step."""
    assert check(idles(0.3, {"train.py:88": 0.1})) is None


def test_does_not_apply_to_a_cpu() -> None:
    """The host is the device."""
    on_cpu = replace(evidence(), burst=Burst(steps=5, busy_share=0.5, synchronising=CALLS))
    assert check(on_cpu) is None
