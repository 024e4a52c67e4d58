"""What an epoch would save without copies: what nothing else takes in their place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import CONFIG, blocks, evidence

from perfkit.diagnosis.attribution import attribute
from perfkit.diagnosis.evidence import Attribution, Burst, Stretch

GPU = replace(CONFIG, num_samples=1600, num_workers=2, devices=("cuda:0",), pin_memory=True)
"""An epoch of 100 steps of 0.1 s; each batch is ordered four steps before."""


def attributed(stretches: list[Stretch], phases: dict[str, float], burst: Burst) -> Attribution:
    """The attribution of an epoch of such steps."""
    made = evidence(GPU, 2, phases_s=phases, phases_clock="device", exposed_wait_s=None)
    found = attribute(replace(made, stretches=tuple(stretches), burst=burst))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("late", "calls", "removable_s"),
    [(0, {}, 2.0), (1, {}, 1.2), (2, {"train.py:8": 1.0}, 0.4), (4, {}, 0.0)],
)
def test_a_late_batch_takes_back_what_copies_would_save(
    late: int, calls: dict[str, float], removable_s: float
) -> None:
    """Ordered four steps before it is trained on, each late one in ten costs four steps of saving."""
    ready = (0,) * late + (1,) * (10 - late)
    phases = {"waiting": 0.0, "transfer": 0.0, "h2d": 0.02, "forward": 0.04, "backward": 0.04}
    real = [replace(s, ready=ready) for s in blocks("real", 0.1, phases_s=phases)]
    burst = Burst(steps=5, busy_share=0.8, synchronising=calls)
    found = attributed(real, phases, burst)
    assert found.seconds["h2d"] == pytest.approx(2.0)
    assert found.removable_s["h2d"].value == pytest.approx(removable_s)


@pytest.mark.parametrize(
    ("wait_s", "busy", "calls", "removable_s"),
    [
        (0.0, 0.80, {}, 2.0),
        (0.0, 0.70, {}, 1.0),
        (0.0, 0.55, {}, 0.0),
        (0.05, 0.30, {}, 0.0),
        (0.05, 0.30, {"train.py:8": 1.0}, 2.0),
    ],
)
def test_copies_are_hidden_behind_a_host_that_is_slower(
    wait_s: float, busy: float, calls: dict[str, float], removable_s: float
) -> None:
    """The device idles for launches or for handing over: without copies it would idle longer."""
    phases = {"waiting": 0.0, "transfer": wait_s, "h2d": 0.02, "forward": 0.08 - wait_s}
    real = blocks("real", 0.1, waits=(wait_s,) * 10, phases_s=phases)
    burst = Burst(steps=5, busy_share=busy, synchronising=calls)
    found = attributed(real, phases, burst)
    assert found.seconds["h2d"] == pytest.approx(2.0)
    assert found.removable_s["h2d"].value == pytest.approx(removable_s)
