"""Time that is in no phase."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import evidence

from perfkit.diagnosis.evidence import OwnWork
from perfkit.diagnosis.rules.untracked import check


@pytest.mark.parametrize(
    ("forward_s", "severity"), [(0.0971, None), (0.0969, "moderate"), (0.0849, "high")]
)
def test_fires_at_its_thresholds(forward_s: float, severity: str | None) -> None:
    """100 steps of 0.1 s, of which forward is all that was seen."""
    found = check(evidence(phases_s={"forward": forward_s}))
    assert (None if found is None else found.severity) == severity
    if found is not None:
        lost_s = 100 * (0.1 - forward_s)
        assert found.share == pytest.approx(lost_s / 10)
        # how much of it is needed nobody knows
        assert found.removable_s is not None
        assert found.removable_s.low == 0.0
        assert found.removable_s.value == found.removable_s.high == pytest.approx(lost_s)


def test_says_what_of_a_step_it_is() -> None:
    """A gap of 20 ms."""
    found = check(evidence(phases_s={"forward": 0.03, "backward": 0.05}))
    assert found is not None
    assert found.evidence[0].startswith("20.0 ms of a step of 100 ms are outside of loading")


def test_abstains_without_its_signal() -> None:
    """What was not recorded is not untracked: it is not known."""
    assert check(evidence(phases_s={})) is None
    assert check(evidence(epoch_parts_s={})) is None


def test_what_was_seen_is_the_stage_and_told_with_its_share() -> None:
    """A function by its own name, with what to do if it makes batches."""
    seen = {
        "get_batch (my_train.py:13)": OwnWork(share=0.9, inner="read_it, my_data.py:5"),
        "my_train.py:14": OwnWork(share=0.1),
    }
    made = evidence(phases_s={"forward": 0.03, "backward": 0.05})
    found = check(replace(made, untracked=seen))
    assert found is not None and found.stage == "get_batch (my_train.py:13)"
    assert found.evidence[1:] == (
        "`get_batch` (my_train.py:13) takes 90 % of them, most of it in read_it, my_data.py:5.",
        "`my_train.py:14` takes 10 % of them.",
    )
    assert "If `get_batch` (my_train.py:13) makes batches" in found.try_next
