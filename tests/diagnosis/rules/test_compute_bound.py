"""Computing: only where nothing else is much, and everything else is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from evidences import CONFIG, evidence

from perfkit.diagnosis.attribution import attribute
from perfkit.diagnosis.evidence import OwnWork
from perfkit.diagnosis.rules.compute_bound import check
from perfkit.document import Finding

FOUR = replace(CONFIG, num_workers=4)


def checked(config: Any = CONFIG, cores: int | None = 8, **row: Any) -> Finding | None:
    """What is found of a step of 0.1 s."""
    made = evidence(config, cores, **row)
    return check(replace(made, attribution=attribute(made)))


def waits(wait_s: float) -> dict[str, Any]:
    """A row that waits so long of 0.1 s."""
    return {"exposed_wait_s": wait_s, "phases_s": {"waiting": wait_s, "forward": 0.1 - wait_s}}


def test_fires_where_little_can_be_removed() -> None:
    """9.9 % are little."""
    found = checked(**waits(0.0099))
    assert found is not None and (found.severity, found.share) == ("high", pytest.approx(0.901))
    assert found.removable_s is None
    assert (
        "90.1 ms of a step of 100 ms; all else that could be removed is 10 %" in found.evidence[0]
    )


def test_is_silent_at_a_tenth() -> None:
    """10 % are not."""
    assert checked(**waits(0.0101)) is None


def test_causes_add_up() -> None:
    """4 % waiting, 4 % evaluation and 4 % starting."""
    parts = {"steps": 10.0, "evaluation": 0.44, "epoch_start": 0.44}
    assert checked(**waits(0.0044), epoch_parts_s=parts) is None


def test_it_takes_half_of_the_epoch() -> None:
    """What is in no phase is not computing."""
    assert checked(phases_s={"waiting": 0.0, "forward": 0.049}) is None
    found = checked(phases_s={"waiting": 0.0, "forward": 0.051})
    assert found is not None and found.severity == "moderate"


def test_abstains_without_its_signals() -> None:
    """No attribution (a row of bench), or a wait that nobody recorded."""
    assert check(evidence()) is None
    assert checked(exposed_wait_s=None, phases_s={"forward": 0.1}) is None


@pytest.mark.parametrize(
    ("cores", "told", "fires"),
    [
        (4, {}, False),
        (5, {}, True),
        (None, {}, False),
        (4, {"loader": {"fetch_s": 0.1, "busy_share": 0.5}}, True),
        (4, {"loader": {"fetch_s": 0.1, "busy_share": 0.9}}, False),
        (4, {"run_delay_s": 0.001}, True),
    ],
)
def test_full_cores_of_which_nobody_tells(
    cores: int | None, told: dict[str, Any], fires: bool
) -> None:
    """Four workers and a trainer: on so few cores one has to know what they cost each other."""
    assert (checked(FOUR, cores, **told) is not None) is fires


def test_a_gpu_does_not_share_its_cores() -> None:
    """Nobody asks for contention there."""
    assert checked(replace(FOUR, devices=("cuda:0",)), 2) is not None


def test_near_the_roofline() -> None:
    """Half the rate of a large matrix product in place."""
    near, far = checked(gemm_ceiling_share=0.5), checked(gemm_ceiling_share=0.49)
    assert near is not None and near.stage == "near_roofline"
    assert "50 % of the rate of a large matrix product" in near.evidence[1]
    assert far is not None and far.stage is None


@pytest.mark.parametrize(("update_s", "told"), [(0.03, False), (0.034, True)])
def test_an_update_of_a_third_of_computing_is_told(update_s: float, told: bool) -> None:
    """Of 0.1 s: more than its weights explain beside a batch of many samples."""
    phases_s = {"forward": 0.03, "backward": 0.07 - update_s, "optimizer": update_s}
    found = checked(exposed_wait_s=0.0, phases_s={"waiting": 0.0, **phases_s})
    assert found is not None
    said = [one for one in found.evidence if one.startswith("The optimizer's update takes 34.0 ms")]
    assert bool(said) is told


def test_a_forward_that_takes_longer_than_backward_is_told_with_what_it_is_in() -> None:
    """Both phases, and the function that was seen."""
    made = evidence(CONFIG, 8, phases_s={"waiting": 0.0, "forward": 0.08, "backward": 0.02})
    seen = {"match (train.py:31)": OwnWork(share=0.7, inner="overlap, boxes.py:7")}
    made = replace(made, attribution=attribute(made), long_forward=seen)
    found = check(made)
    assert found is not None
    assert found.evidence[0] == (
        "Forward takes 80.0 ms of a step and backward, usually twice as long, 20.0 ms; 70 % of forward was"
        " seen in `match` (train.py:31), most of it in overlap, boxes.py:7."
    )
    alone = check(replace(made, long_forward={}))
    assert alone is not None and len(alone.evidence) == 1
