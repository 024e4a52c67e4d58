"""The rule that sees work between steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import CONFIG, evidence
from own_settings import having

from perfkit.diagnosis.evidence import OwnWork
from perfkit.diagnosis.rules.periodic_bound import HIGH_SHARE, MODERATE_SHARE, check


def parts(share: float, name: str = "evaluation") -> dict[str, float]:
    """An epoch of 10 s of which `name` is a share."""
    return {"steps": 10 * (1 - share), name: 10 * share}


def test_fires_at_its_thresholds() -> None:
    """Evaluation of the threshold's share of the epoch is a finding of that share."""
    moderate = check(evidence(epoch_parts_s=parts(MODERATE_SHARE + 1e-9)))
    high = check(evidence(epoch_parts_s=parts(HIGH_SHARE + 1e-9)))
    assert moderate is not None and high is not None
    assert (moderate.severity, high.severity) == ("moderate", "high")
    assert high.share == pytest.approx(HIGH_SHARE)
    assert "15 % of an average epoch: evaluation 1.50 s" in high.message


def test_is_silent_just_below() -> None:
    """A little less than the moderate share is no finding."""
    assert check(evidence(epoch_parts_s=parts(0.999 * MODERATE_SHARE))) is None


def test_the_start_of_an_epoch_is_not_periodic_work() -> None:
    """Start and partial batch belong to other causes."""
    given = {"steps": 5.0, "epoch_start": 4.0, "partial_batch": 1.0}
    assert check(evidence(epoch_parts_s=given)) is None


def test_abstains_without_its_signal() -> None:
    """Without the parts of an epoch there is nothing to say."""
    assert check(evidence(epoch_parts_s={})) is None


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("metrics", "--variant metrics_every=20"),
        ("visualisation", "--variant viz_every=100"),
        ("evaluation", "Evaluate every few epochs"),
        ("checkpoint", "Do checkpoint less often"),
    ],
)
def test_names_the_setting_of_the_largest(name: str, advice: str) -> None:
    """The most expensive kind of work is the one to do less often."""
    found = check(evidence(epoch_parts_s=parts(0.3, name) | {"other_work": 0.1}))
    assert found is not None and advice in found.try_next


def test_does_not_halve_never() -> None:
    """Work that its setting never asks for has no `every` to double."""
    given = evidence(having(CONFIG, metrics_every=0), epoch_parts_s=parts(0.3, "metrics"))
    found = check(given)
    assert found is not None and "metrics_every" not in found.try_next


def test_the_stage_is_the_largest_and_each_is_told() -> None:
    """0.3 s of an average epoch are 3 s every ten."""
    given = evidence(epoch_parts_s={"steps": 9.0, "metrics": 0.3, "evaluation": 0.7})
    found = check(given)
    assert found is not None and found.stage == "evaluation"
    assert found.removable_s is not None and found.removable_s.value == pytest.approx(1.0)
    assert found.evidence == (
        "Evaluation takes 700 ms of an average epoch.",
        "One run of metrics takes 3.00 s, every 10 epochs: 300 ms of an average one.",
    )


def test_a_function_of_the_user_s_own_keeps_its_name() -> None:
    """No capital at the begin of a sentence; what most of it is in stands beside it."""
    name = "_make_plots (_train.py:14)"
    work = {name: OwnWork(inner="burn, _common.py:5")}
    found = check(replace(evidence(epoch_parts_s=parts(0.3, name)), work=work))
    assert found is not None and found.stage == name
    assert found.evidence == (
        "`_make_plots` (_train.py:14) takes 3.00 s of an average epoch, most of it in burn, _common.py:5.",
    )
    assert found.try_next == "Do `_make_plots` (_train.py:14) less often."
