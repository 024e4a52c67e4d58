"""Steps bound by launching: two witnesses or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import CONFIG, evidence

from perfkit.diagnosis.evidence import Burst, Dispatch, Evidence
from perfkit.diagnosis.rules.host_bound import MODERATE_SHARE, check

GPU = replace(CONFIG, devices=("cuda:0",))
NO_COPIES = {"waiting": 0.0, "transfer": 0.0, "h2d": 0.0, "forward": 0.1}


def dispatches(fixed: float | None, operators: float | None) -> Evidence:
    """A CPU's two witnesses."""
    return replace(evidence(), dispatch=Dispatch(fixed_share=fixed, operators_share=operators))


def test_two_witnesses_say_so() -> None:
    """A thousand tiny operators: two samples take nearly as long, and dispatch is four fifths."""
    found = check(dispatches(0.97, 0.8))
    assert found is not None
    assert (found.severity, found.share) == ("high", pytest.approx(0.8))
    assert found.evidence == (
        "A step of two samples takes 97 % of one of a whole batch.",
        "Dispatching its operators takes 80 % of a step.",
    )


@pytest.mark.parametrize(
    ("fixed", "operators"),
    [
        (0.69, 0.8),
        (0.97, 0.39),
        (None, 0.8),
        (0.97, None),
        # 40 LayerNorms: what a dispatch was priced at is more than they take
        (0.85, 1.3),
        (0.97, 1.46),
    ],
)
def test_one_witness_is_none(fixed: float | None, operators: float | None) -> None:
    """Below its threshold, not there, or void."""
    assert check(dispatches(fixed, operators)) is None


def test_at_their_thresholds() -> None:
    """0.7 and 0.4; and 1.5 times what does not depend on the samples."""
    assert check(dispatches(0.96, 1.44)) is not None
    found = check(dispatches(0.7, 0.4))
    assert found is not None and found.share == pytest.approx(0.4)


def test_the_device_s_idling_is_a_witness() -> None:
    """A burst on a GPU, beside a step that hardly depends on its samples."""
    burst = Burst(steps=5, busy_share=0.6, launches=1234)
    given = replace(
        evidence(GPU, phases_s=NO_COPIES), burst=burst, dispatch=Dispatch(fixed_share=0.9)
    )
    found = check(given)
    assert found is not None and found.share == pytest.approx(0.4)
    assert "busy for 60 % of a step over 1234 launches" in found.evidence[1]
    assert check(replace(given, dispatch=None)) is None
    little = replace(burst, busy_share=1 - 0.99 * MODERATE_SHARE)
    assert check(replace(given, burst=little)) is None
