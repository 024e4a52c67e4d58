"""What the steps of a block were spent on."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.engine.phases import LEAST_MARKED, StepMeans, ahead_s, step_means
from perfkit.records import NAN, StepRecord

SECONDS = st.floats(0, 10)
MAYBE = SECONDS | st.just(NAN)
HOST = ("step_s", "data_wait_s", "h2d_s", "forward_s", "backward_s", "optimizer_s")


def step(**changes: Any) -> StepRecord:
    """A step of 0.1 s on the host's clock, without a device; its batch was ready."""
    usual = StepRecord(
        *(0, 1, 16, 2, 1, 1, 1, 0),
        *(0.1, 0.02, 0.01, 0.03, 0.02, 0.01),
        *(NAN, 0.02, NAN, NAN, NAN, NAN, NAN, NAN),
    )
    return usual._replace(**changes)


def on_device(*, marked: bool = True, **changes: Any) -> StepRecord:
    """A step of 0.1 s on a device; the host waited half of it for a batch, the device did not."""
    phases = {
        "device_h2d_s": 0.0,
        "device_forward_s": 0.03,
        "device_backward_s": 0.06,
        "device_optimizer_s": 0.005,
    }
    return step(
        device_step_s=0.1,
        data_wait_s=0.05,
        forward_s=0.005,
        backward_s=0.006,
        exposed_wait_s=0.0,
        **(phases if marked else {}),
    )._replace(**changes)


@given(
    st.lists(st.tuples(SECONDS, SECONDS, MAYBE, MAYBE, MAYBE, MAYBE), min_size=1, max_size=8),
    st.sampled_from([-1, 0, 1]),
)
def test_phases_add_up_to_the_step(times: list[tuple[float, ...]], ready: int) -> None:
    """Whatever was not measured, the phases with the residual sum to the mean step time."""
    records = [step(ready=ready, **dict(zip(HOST, values, strict=True))) for values in times]
    means = step_means(records).phases_s
    assert sum(means.values()) == pytest.approx(sum(r.step_s for r in records) / len(records))
    assert not any(math.isnan(value) for value in means.values())


def test_a_phase_that_was_never_seen_is_left_out() -> None:
    """Missing is not zero; no records have no phases and no clock."""
    assert "h2d" not in step_means([step(h2d_s=NAN)]).phases_s
    assert step_means([]) == StepMeans()


def test_a_phase_of_some_steps_is_spread_over_all() -> None:
    """An update of 8 ms in every fourth step is 2 ms a step."""
    records = [step(optimizer_s=0.008), *[step(optimizer_s=NAN)] * 3]
    assert step_means(records).phases_s["optimizer"] == pytest.approx(0.002)


def test_waiting_is_what_was_not_ready() -> None:
    """A batch that was there is handed over; one that was not is waited for, and only that."""
    records = [step(), step(), step(), step(ready=0, data_wait_s=0.06, step_s=0.14)]
    means = step_means(records)
    assert means.phases_s["waiting"] == pytest.approx(0.06 / 4)
    assert means.phases_s["transfer"] == pytest.approx(0.06 / 4)
    assert "data_wait" not in means.phases_s
    assert means.not_ready_share == 0.25


def test_without_knowing_what_was_ready_they_are_one() -> None:
    """One step that does not know is enough: shares of a part would be told as the whole's."""
    means = step_means([step(), step(ready=-1)])
    assert means.phases_s["data_wait"] == pytest.approx(0.02)
    assert means.not_ready_share is None


def test_on_a_device_phases_are_the_devices() -> None:
    """Half the host's step was a wait that cost nothing, since the device had work: no data wait."""
    means = step_means([on_device(), on_device()])
    assert means.clock == "device"
    assert means.phases_s["waiting"] == means.phases_s["transfer"] == 0.0
    assert (means.phases_s["forward"], means.phases_s["backward"]) == (0.03, 0.06)
    assert sum(means.phases_s.values()) == pytest.approx(0.1)


def test_a_block_without_marks_has_no_phases() -> None:
    """The host's would tell how long launching took, which is something else."""
    means = step_means([on_device(marked=False)] * 5)
    assert (means.phases_s, means.clock) == ({}, None)
    captured = step(exposed_wait_s=NAN)
    assert step_means([captured]).phases_s == {}


@pytest.mark.parametrize(("marked", "step_s", "speak"), [
    (LEAST_MARKED, 0.1, True),
    (LEAST_MARKED - 1, 0.1, False),
    (LEAST_MARKED, 0.12, False),
])  # fmt: skip
def test_some_marked_steps_speak_for_all_if_they_are_like_them(
    marked: int, step_s: float, speak: bool
) -> None:
    """Enough of them, and as long as the others."""
    others = [on_device(marked=False, device_step_s=step_s)] * 40
    means = step_means([*[on_device()] * marked, *others])
    assert (means.clock == "device") is speak


def test_run_delay_is_a_mean_of_what_is_known() -> None:
    """Two and four milliseconds; a step that does not know does not count."""
    records = [step(run_delay_s=0.002), step(run_delay_s=0.004), step()]
    assert step_means(records).run_delay_s == pytest.approx(0.003)
    assert step_means([step()]).run_delay_s is None


@pytest.mark.parametrize(
    ("changes", "ahead"),
    [
        # asked 1 ms ahead; the device took its 40 ms of wait and 30 + 60 + 5 of work, the host 50 and 21 more
        ({"lead_s": 0.001, "exposed_wait_s": 0.04}, 0.001 - 0.01 + 0.025 + 0.054),
        # an inf check waits for the device inside the update: it was furthest ahead before
        ({"lead_s": 0.0, "exposed_wait_s": 0.05, "optimizer_s": 0.084}, 0.025 + 0.054),
        ({"lead_s": 0.0, "exposed_wait_s": 0.05, "optimizer_s": 0.0}, 0.025 + 0.054 + 0.005),
        # no update in this step
        (
            {"lead_s": 0.0, "exposed_wait_s": 0.05, "optimizer_s": NAN, "device_optimizer_s": NAN},
            0.025 + 0.054,
        ),
        # launching takes longer than computing
        ({"lead_s": 0.0, "exposed_wait_s": 0.05, "backward_s": 0.2}, 0.0),
    ],
)
def test_how_far_the_host_was_ahead(changes: dict[str, float], ahead: float) -> None:
    """By hand: its place and the device's at the end of backward and of the update, the larger distance."""
    record = on_device(**{"h2d_s": 0.0, "optimizer_s": 0.01, **changes})
    assert ahead_s([record]) == pytest.approx(ahead)


def test_how_far_the_host_was_ahead_is_told_by_marked_steps() -> None:
    """The mean of those; nothing on the host's own clock."""
    near = on_device(h2d_s=0.0, lead_s=0.0, exposed_wait_s=0.05, optimizer_s=0.084)
    far = near._replace(lead_s=0.02)
    unmarked = on_device(marked=False, lead_s=0.5)
    assert ahead_s([near, unmarked, far]) == pytest.approx(0.025 + 0.054 + 0.01)
    assert ahead_s([unmarked]) is None
    assert ahead_s([step()]) is None
