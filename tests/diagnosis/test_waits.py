"""Handing a batch over: whose time it is where a call has drained the device's queue."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import CONFIG, blocks, evidence

from perfkit.diagnosis.attribution import attribute
from perfkit.diagnosis.evidence import Burst, Evidence
from perfkit.diagnosis.judge import judge

GPU = replace(CONFIG, num_workers=2, devices=("cuda:0",), pin_memory=True)
"""An epoch of 100 steps."""
STEP_S, TAKEN_S = 0.02, 0.002
ITEM = {"train.py:20 (item)": 1.0}


def prefetched(
    wait_s: float,
    *,
    calls: dict[str, float],
    lead_s: float = 0.0,
    ahead_s: float | None = 0.01,
    ready: int = 1,
) -> Evidence:
    """Steps of 20 ms whose every batch waits so long; all the rest the device computes."""
    phases = {"waiting": 0.0, "transfer": wait_s, "h2d": 0.0, "forward": STEP_S - wait_s}
    real = blocks(
        "real",
        STEP_S,
        waits=(wait_s,) * 10,
        ready=ready,
        phases_s=phases,
        lead_s=(lead_s,) * 10,
        ahead_s=ahead_s,
    )
    made = evidence(
        GPU,
        8,
        epoch_parts_s={"steps": 100 * STEP_S},
        phases_s=phases,
        phases_clock="device",
        exposed_wait_s=None,
    )
    burst = Burst(steps=5, busy_share=1 - wait_s / STEP_S, synchronising=calls)
    return replace(made, stretches=tuple(real), burst=burst)


@pytest.mark.parametrize(
    ("ahead_s", "lead_s", "transfer_s", "sync_s"),
    [
        (0.010, 0.0, 0.0, 0.2),
        (0.002, 0.0, 0.0, 0.2),
        (0.0005, 0.0, 0.15, 0.05),
        (0.010, 0.0095, 0.15, 0.05),
        (0.0, 0.0, 0.2, 0.0),
        (None, 0.0, 0.2, 0.0),
    ],
)
def test_a_drained_queue_is_billed_what_it_would_have_covered(
    ahead_s: float | None, lead_s: float, transfer_s: float, sync_s: float
) -> None:
    """2 ms of 100 steps: as far as the host was ahead before the call, and no longer is; else transfer."""
    found = attribute(prefetched(TAKEN_S, calls=ITEM, ahead_s=ahead_s, lead_s=lead_s))
    assert found is not None
    assert found.seconds["transfer"] == pytest.approx(transfer_s)
    assert found.seconds["sync"] == pytest.approx(sync_s)
    assert sum(found.seconds.values()) == pytest.approx(found.epoch_s)
    # it would go with either, and is told once
    assert found.removable_s["transfer"].value == pytest.approx(transfer_s)
    assert found.removable_s["sync"].value == pytest.approx(sync_s)


def test_the_call_is_what_holds_it_back() -> None:
    """A tenth of every step is exposed because of `.item()`: nobody should touch the loader."""
    judged = judge(prefetched(TAKEN_S, calls=ITEM))
    assert (judged.primary, judged.verdicts[0].stage) == ("sync_bound", "train.py:20 (item)")
    assert [verdict.kind for verdict in judged.verdicts] == ["sync_bound"]


def test_without_a_call_nothing_is_exposed() -> None:
    """The host is ahead when it asks for a batch, and handing over costs the device nothing."""
    made = prefetched(0.0, calls={}, lead_s=0.01)
    found = attribute(made)
    assert found is not None
    assert (found.seconds["transfer"], found.seconds["sync"]) == (0.0, 0.0)
    assert judge(made).primary == "compute_bound"


def test_a_host_that_is_never_ahead_hands_over_at_its_own_cost() -> None:
    """Nothing drains the queue: there was nothing in it. What it was ahead by inside a step is no witness."""
    made = prefetched(TAKEN_S, calls={})
    found = attribute(made)
    assert found is not None
    assert (found.seconds["transfer"], found.seconds["sync"]) == (pytest.approx(0.2), 0.0)
    judged = judge(made)
    assert (judged.primary, judged.verdicts[0].stage) == ("input_bound", "transfer")


def test_batches_that_were_late_are_waited_for() -> None:
    """A call does not make a worker slower: a full queue is not what was missing."""
    found = attribute(prefetched(TAKEN_S, calls=ITEM, ready=0))
    assert found is not None
    assert found.seconds["waiting"] == pytest.approx(0.2)
    assert (found.seconds["transfer"], found.seconds["sync"]) == (0.0, 0.0)
