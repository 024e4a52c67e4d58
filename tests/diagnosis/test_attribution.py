"""Where an epoch goes: exact seconds, and what of them could be gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from evidences import CONFIG, blocks, evidence
from hypothesis import given
from hypothesis import strategies as st

from perfkit.diagnosis.attribution import attribute
from perfkit.diagnosis.evidence import PARTS, Attribution, Burst, Evidence, Stretch

TRAINING = replace(CONFIG, num_samples=1600, num_workers=2)
"""An epoch of 100 steps."""
GPU = replace(TRAINING, devices=("cuda:0",))
PHASES = {"waiting": 0.02, "transfer": 0.01, "h2d": 0.0, "forward": 0.03, "backward": 0.04}


def measured(*stretches: Stretch, **row: Any) -> Evidence:
    fields: dict[str, Any] = {
        "epoch_parts_s": {"steps": 10.0, "evaluation": 1.0, "metrics": 0.5, "epoch_start": 0.2},
        "phases_s": PHASES,
        "exposed_wait_s": None,
        **row,
    }
    return replace(evidence(TRAINING, 2, **fields), stretches=stretches)


def attributed(made: Evidence) -> Attribution:
    """The attribution of evidence that has one."""
    found = attribute(made)
    assert found is not None
    return found


def test_an_epoch_by_hand() -> None:
    """100 steps of 0.1 s: a fifth waits, a tenth is handed over, the rest computes; and what is between."""
    found = attributed(measured(startup_s={"worker_start": 10.2, "first_step": 0.1}))
    # 10.2 s once, beyond a usual step and what every epoch spends on starting, over 100 epochs
    assert found.epoch_s == pytest.approx(11.7 + 0.1)
    wanted = {"waiting": 2.0, "transfer": 1.0, "compute": 7.0, "eval": 1.0, "periodic": 0.5}
    for part, seconds in wanted.items():
        assert found.seconds[part] == pytest.approx(seconds), part
    assert found.seconds["startup"] == pytest.approx(0.3)
    assert found.seconds["other"] == pytest.approx(0.0)
    assert found.removable_s["waiting"].value == pytest.approx(2.0)
    assert found.differential_s == {} and found.unavailable == {
        "differential_s": "no_data",
        "contention": "no_data",
        "communication": "not_applicable",
        "h2d": "no_gpu",
        "sync": "no_gpu",
        "host_launch": "no_gpu",
    }


def test_filling_a_cache_is_a_cost_that_a_run_has_once() -> None:
    """40 s before the first step, over 100 epochs, beside what workers take to start."""
    once = {"worker_start": 10.2, "first_step": 0.1, "cache_fill": 40.0}
    found = attributed(measured(startup_s=once))
    assert found.epoch_s == pytest.approx(11.7 + 0.5)
    assert found.seconds["startup"] == pytest.approx(0.2 + 0.5)


def test_a_stall_in_every_tenth_step_counts_whole() -> None:
    """0.6 s once in ten steps is 60 ms a step, however the other steps run."""
    stall = (0.6, *(0.0,) * 9)
    found = attributed(measured(*blocks("real", 0.1, waits=stall, ready=0)))
    assert found.seconds["waiting"] == pytest.approx(6.0)
    assert found.removable_s["waiting"].value == pytest.approx(6.0)


def test_a_batch_that_was_there_is_transfer() -> None:
    """The queue is always full and `next()` takes 69 % of the step."""
    waits = (0.069,) * 10
    found = attributed(measured(*blocks("real", 0.1, waits=waits, ready=1), phases_s={}))
    assert (found.seconds["waiting"], found.seconds["transfer"]) == pytest.approx((0.0, 6.9))
    assert found.seconds["compute"] == pytest.approx(3.1)


def test_having_a_batch_there_does_not_save_handing_it_over() -> None:
    """Half of the steps wait for 30 ms, and the others are handed a batch that is there in 2."""
    waits, ready = (0.03, 0.002) * 5, (0, 1) * 5
    real = [replace(s, wait_s=waits, ready=ready) for s in blocks("real", 0.1)]
    found = attributed(measured(*real))
    assert (found.seconds["waiting"], found.seconds["transfer"]) == pytest.approx((1.5, 0.1))
    assert found.removable_s["waiting"].value == pytest.approx(1.4)
    # two steps are too few to say what handing over takes
    few = attribute(measured(replace(real[0], ready=(0, 1, 0, 1, *(0,) * 6))))
    assert few is not None
    assert few.removable_s["waiting"].value == pytest.approx(few.seconds["waiting"])


def test_production_that_was_put_off_is_waited_for_later() -> None:
    """A block that emptied the queue owes what filling it takes."""
    real = [replace(s, wall_s=1.2) for s in blocks("real", 0.1)]
    found = attributed(measured(*real, phases_s={}))
    assert found.seconds["waiting"] == pytest.approx(2.0)


def test_contention_is_taken_out_of_computing() -> None:
    """32 ms beside running workers, 9 beside idle ones: 23 ms of every step."""
    arms = [*blocks("real", 0.1), *blocks("replay", 0.009), *blocks("replay_running", 0.032)]
    found = attributed(measured(*arms, phases_s={"forward": 0.05, "backward": 0.05}))
    assert found.differential_s["contention"].value == pytest.approx(0.023)
    assert found.differential_s["input"].value == pytest.approx(0.091)
    assert found.seconds["contention"] == pytest.approx(2.3)
    assert found.seconds["compute"] == pytest.approx(7.7)
    assert (found.palindromes, found.replay_step_s is not None) == (6, True)


def test_without_arms_the_kernel_tells_of_contention() -> None:
    """Run delay of the real blocks, less what there is without any workers at work."""
    told = [*blocks("real", 0.1, run_delay_s=0.02), *blocks("replay", 0.08, run_delay_s=0.001)]
    found = attributed(measured(*told))
    assert found.seconds["contention"] == pytest.approx(1.9)


def test_a_row_without_a_forecast_has_no_attribution() -> None:
    """Nothing is attributed that was not measured."""
    assert attribute(measured(epoch_parts_s={})) is None


seconds = st.floats(0, 10)


@given(
    st.lists(seconds, min_size=5, max_size=5),
    st.dictionaries(
        st.sampled_from(["forward", "backward", "waiting", "transfer", "h2d", "other"]), seconds
    ),
    st.lists(st.tuples(st.floats(0, 1), st.integers(-1, 1)), min_size=1, max_size=12),
    st.floats(0, 2),
    st.floats(0, 2),
    st.floats(0, 1),
    st.booleans(),
)
def test_parts_add_up_to_the_wall_clock(
    parts: list[float],
    phases: dict[str, float],
    steps: list[tuple[float, int]],
    idle_s: float,
    running_s: float,
    busy: float,
    gpu: bool,
) -> None:
    """Whatever was measured: the sum is the epoch, and no cause takes less than nothing."""
    names = ("steps", "evaluation", "metrics", "epoch_start", "partial_batch")
    forecast = dict(zip(names, parts, strict=True)) | {"steps": 0.1 + parts[0]}
    waits, ready = zip(*steps, strict=True)
    real = Stretch(
        arm="real", palindrome=0, wall_s=sum(waits) + 1, step_s=waits, wait_s=waits, ready=ready
    )
    arms = [*blocks("replay", idle_s), *blocks("replay_running", running_s)]
    made = measured(real, *arms, epoch_parts_s=forecast, phases_s=phases)
    burst = Burst(steps=5, busy_share=busy, synchronising={"train.py:1": 1.0})
    found = attributed(replace(made, config=GPU, burst=burst) if gpu else made)
    assert set(found.seconds) == set(PARTS)
    assert sum(found.seconds.values()) == pytest.approx(found.epoch_s)
    assert all(value >= -1e-9 for name, value in found.seconds.items() if name != "other")
    for name, interval in found.removable_s.items():
        assert 0 <= interval.value <= found.epoch_s + 1e-9, name
        if interval.low is not None and interval.high is not None:
            assert 0 <= interval.low <= interval.high <= found.epoch_s + 1e-9, name


def test_without_workers_nothing_is_handed_over() -> None:
    """A loader in the training process calls no batch ready that somebody else has made."""
    alone = replace(TRAINING, num_workers=0)
    for stretches in ((), tuple(blocks("real", 0.1, waits=(0.03,) * 10, ready=1))):
        found = attribute(replace(measured(*stretches), config=alone))
        assert found is not None
        assert (found.seconds["waiting"], found.seconds["transfer"]) == pytest.approx((3.0, 0.0))
        assert found.unavailable["contention"] == "not_applicable"


def test_a_row_owes_production_that_was_put_off() -> None:
    """Phases of 80 ms in a step that takes 100 all in."""
    phases = {"waiting": 0.01, "transfer": 0.0, "forward": 0.06, "other": 0.01}
    found = attributed(measured(phases_s=phases))
    assert found.seconds["waiting"] == pytest.approx(3.0)
    assert found.seconds["compute"] == pytest.approx(6.0)


def test_what_was_not_recorded_is_not_zero() -> None:
    """A wait that nobody saw is in no part that could be removed."""
    found = attributed(measured(phases_s={"forward": 0.1}))
    assert "waiting" not in found.removable_s and found.unavailable["waiting"] == "no_data"


DEVICE = {"waiting": 0.01, "transfer": 0.01, "h2d": 0.02, "forward": 0.03, "backward": 0.03}


def test_a_device_s_own_clock() -> None:
    """Copies are a part of their own there, with an interval over blocks where they tell it."""
    made = replace(measured(phases_s=DEVICE, phases_clock="device"), config=GPU)
    found = attributed(made)
    assert (found.seconds["h2d"], found.seconds["compute"]) == pytest.approx((2.0, 6.0))
    assert found.removable_s["h2d"].low is None
    assert found.unavailable["sync"] == found.unavailable["host_launch"] == "no_data"
    each = [
        replace(s, phases_s=DEVICE | {"h2d": 0.019 + 0.002 * (n % 2)})
        for n, s in enumerate(blocks("real", 0.1))
    ]
    told = attribute(replace(made, stretches=tuple(each)))
    assert told is not None
    copies = told.removable_s["h2d"]
    assert copies.value == pytest.approx(2.0) and copies.low is not None and copies.low > 1.9


@pytest.mark.parametrize(
    ("calls", "part"), [(1.0, "sync"), (0.4, "host_launch"), (0, "host_launch")]
)
def test_the_device_s_idling_in_a_burst(calls: float, part: str) -> None:
    """30 % of a step idle beside waits and copies: 40 ms in all are known, so 70 − 40 are not."""
    burst = Burst(steps=5, busy_share=0.3, synchronising={"train.py:8": calls} if calls else {})
    made = replace(measured(phases_s=DEVICE, phases_clock="device"), config=GPU, burst=burst)
    found = attributed(made)
    assert found.seconds[part] == pytest.approx(3.0) == found.removable_s[part].value
    assert found.seconds["compute"] == pytest.approx(3.0)
    # a CPU is its own host
    on_cpu = attribute(replace(made, config=TRAINING))
    assert on_cpu is not None and on_cpu.seconds[part] == 0 and part not in on_cpu.removable_s


def test_what_a_device_idles_outside_every_phase_is_no_launch() -> None:
    """15 of the 40 ms that are not known pass between two steps."""
    phases = DEVICE | {"forward": 0.02, "backward": 0.025, "other": 0.015}
    made = replace(measured(phases_s=phases, phases_clock="device"), config=GPU)
    found = attributed(replace(made, burst=Burst(steps=5, busy_share=0.3)))
    assert found.seconds["host_launch"] == pytest.approx(1.5)
    assert found.seconds["compute"] == pytest.approx(3.0)
    assert found.seconds["other"] == pytest.approx(1.5)


def test_a_run_of_one_epoch_starts_once() -> None:
    """Its start is in both what an epoch spends on it and what a run does, and counts once."""
    once = {"worker_start": 1.0, "first_batch": 0.5, "first_step": 0.1}
    parts = {"steps": 10.0, "epoch_start": 1.2}
    made = measured(epoch_parts_s=parts, startup_s=once)
    found = attributed(replace(made, config=replace(TRAINING, epochs=1)))
    assert found.seconds["startup"] == pytest.approx(1.5)
    assert found.epoch_s == pytest.approx(11.5)


def test_contention_takes_no_more_than_computing_has() -> None:
    """Arms that say 90 ms of a step which computes for 70."""
    arms = [*blocks("replay", 0.01), *blocks("replay_running", 0.1)]
    found = attributed(measured(*arms))
    assert (found.seconds["contention"], found.seconds["compute"]) == pytest.approx((7.0, 0.0))
    assert found.removable_s["contention"].high == pytest.approx(7.0)


def test_a_partial_batch_is_steps_and_not_periodic() -> None:
    """Half a step more, of which a fifth waits."""
    found = attributed(measured(epoch_parts_s={"steps": 10.0, "partial_batch": 0.05}))
    assert found.epoch_s == pytest.approx(10.05) and found.seconds["periodic"] == 0
    assert found.seconds["waiting"] == pytest.approx(2.01)


def test_readiness_of_all_real_steps() -> None:
    """Counted where every step says it, else the row's."""
    ready = [*blocks("real", 0.1, ready=1), *blocks("real", 0.1, ready=0)]
    found = attribute(measured(*ready, not_ready_share=0.9))
    unknown = attribute(measured(*blocks("real", 0.1, ready=-1), not_ready_share=0.9))
    assert found is not None and found.not_ready_share == 0.5
    assert unknown is not None and unknown.not_ready_share == 0.9


def test_a_device_that_may_be_copying_is_not_said_to_wait_for_launches() -> None:
    """Where copies were not seen, what it idles may be one of them: it stays in computing."""
    phases = {name: seconds for name, seconds in DEVICE.items() if name != "h2d"}
    made = replace(measured(phases_s=phases, phases_clock="device"), config=GPU)
    found = attributed(replace(made, burst=Burst(steps=5, busy_share=0.1)))
    assert found.seconds["host_launch"] == found.seconds["sync"] == 0
    assert found.unavailable["h2d"] == found.unavailable["host_launch"] == "no_data"


def test_where_no_batch_was_there_its_worker_tells_what_handing_over_takes() -> None:
    """30 ms of waiting, 4 of them for pickling and putting: with its batches there a step saves 26."""
    late = tuple(blocks("real", 0.1, waits=(0.03,) * 10, ready=0))
    made = measured(*late)
    known = replace(made.row, loader={"serialise_cpu_s": 0.003, "handover_s": 0.001})
    found, unknown = attribute(replace(made, row=known)), attribute(made)
    assert found is not None and unknown is not None
    assert found.seconds["waiting"] == unknown.seconds["waiting"] == pytest.approx(3.0)
    assert found.removable_s["waiting"].value == pytest.approx(2.6)
    assert unknown.removable_s["waiting"].value == pytest.approx(3.0)
