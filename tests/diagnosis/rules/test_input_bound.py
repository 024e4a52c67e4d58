"""The rule that sees the device wait for batches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import CONFIG, evidence

from perfkit.diagnosis.rules.input_bound import HIGH_SHARE, MODERATE_SHARE, check


def test_fires_at_its_thresholds() -> None:
    """Waiting for the threshold's share of the epoch is a finding of that share."""
    moderate = check(evidence(exposed_wait_s=0.1 * MODERATE_SHARE))
    high = check(evidence(exposed_wait_s=0.1 * HIGH_SHARE))
    assert moderate is not None and high is not None
    assert (moderate.severity, high.severity) == ("moderate", "high")
    assert (moderate.share, high.share) == pytest.approx((MODERATE_SHARE, HIGH_SHARE))
    assert "20 % of the epoch: 20.0 ms of a step of 100 ms" in high.message


def test_is_silent_just_below() -> None:
    """A little less waiting than the moderate share is no finding."""
    assert check(evidence(exposed_wait_s=0.0999 * MODERATE_SHARE)) is None


def test_share_is_of_the_epoch() -> None:
    """Where steps are half of the epoch, waiting for 30 % of a step is 15 % of the epoch."""
    found = check(evidence(exposed_wait_s=0.03, epoch_parts_s={"steps": 10.0, "evaluation": 10.0}))
    assert found is not None and found.share == pytest.approx(0.15)


@pytest.mark.parametrize("missing", ["exposed_wait_s", "phases_s", "epoch_parts_s"])
def test_abstains_without_its_signal(missing: str) -> None:
    """Without the wait, the step or the epoch there is nothing to say."""
    value = None if missing == "exposed_wait_s" else {}
    assert check(evidence(**({"exposed_wait_s": 0.05} | {missing: value}))) is None


@pytest.mark.parametrize(
    ("workers", "cores", "advice"),
    [
        (0, 2, "--variant num_workers=1"),
        (1, 2, "--variant num_workers=2"),
        (6, 8, "--variant num_workers=8"),
        (3, None, "--variant num_workers=6"),
        (2, 2, "2 loader workers and 2 cores: more workers would queue"),
        (4, 2, "4 loader workers and 2 cores: more workers would queue"),
    ],
)
def test_suggests_no_more_workers_than_cores(workers: int, cores: int | None, advice: str) -> None:
    """More workers are suggested up to the cores, then cheaper samples."""
    given = evidence(replace(CONFIG, num_workers=workers), cores, exposed_wait_s=0.05)
    found = check(given)
    assert found is not None and advice in found.try_next
