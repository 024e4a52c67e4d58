"""The recorder against a device whose truth is known, on loops of every kind."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_device import SimulatedDevice
from simulated_loop import KINDS, Loop, Plan, TrueStep, device_for, make_loop, play

from perfkit.engine.phases import step_means
from perfkit.records import STEPS, StepRecord
from perfkit.training.probe.outfiles import WRITE_EVERY
from perfkit.training.probe.recorder import Recorder
from perfkit.training.probe.steps import marking_period

FLOAT32 = 2.0**-24
"""Relative error of one `elapsed_s`, the only error there is here; the bar is 1 %."""
NANOSECOND = 1.001e-9
OWN_S = 10e-6
"""What the recorder costs on a bare machine."""
HOST_TIMES = ("step_s", "data_wait_s", "h2d_s", "forward_s", "backward_s", "optimizer_s")
DEVICE_PHASES = ("device_h2d_s", "device_forward_s", "device_backward_s", "device_optimizer_s")

kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 2**32)


def recorded(
    loop: Loop, device: SimulatedDevice, *, phase_every: int = 1
) -> tuple[list[TrueStep], list[StepRecord]]:
    """Play a loop under a recorder; returns the truth and what was read back from the file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "steps.bin"
        recorder = Recorder(path, device=device, phase_every=phase_every)
        truth = play(loop, device, recorder)
        recorder.close()
        records = list(STEPS.read(path))
    assert [record.index for record in records] == list(range(len(loop.plans)))
    return truth, records


@given(kinds, seeds)
@settings(max_examples=60, deadline=None)
def test_every_step_of_every_loop_is_as_the_simulator_knows_it(kind: str, seed: int) -> None:
    """Exposed waits, phases and step times are the truth but for float32's rounding."""
    loop = make_loop(kind, seed)
    truth, records = recorded(loop, device_for(loop))
    for true, record in zip(truth, records, strict=True):
        for name in ("exposed_wait_s", "device_step_s", *DEVICE_PHASES):
            assert getattr(record, name) == pytest.approx(
                getattr(true, name), rel=4 * FLOAT32, abs=NANOSECOND
            ), name
        for name in HOST_TIMES:
            assert getattr(record, name) == pytest.approx(getattr(true, name), rel=1e-12), name


@given(kinds, seeds)
@settings(max_examples=60, deadline=None)
def test_the_host_s_lead_is_the_work_left_in_the_queue(kind: str, seed: int) -> None:
    """The lead is right whether or not the newest mark was the newest work."""
    loop = make_loop(kind, seed)
    truth, records = recorded(loop, device_for(loop), phase_every=3)
    # carried on from mark to mark, each interval adds its own rounding
    carried = FLOAT32 * sum(true.device_step_s for true in truth) + len(truth) * NANOSECOND
    for true, record in zip(truth, records, strict=True):
        assert record.lead_s >= 0.0
        assert record.lead_s == pytest.approx(true.lead_s, abs=carried)


@given(kinds, seeds)
@settings(max_examples=30, deadline=None)
def test_a_recorder_changes_nothing_in_the_loop_it_watches(kind: str, seed: int) -> None:
    """The same steps happen at the same times with and without it: it waits for nothing."""
    loop = make_loop(kind, seed)
    watched, _ = recorded(loop, device_for(loop))
    assert watched == play(loop, device_for(loop))


@given(kinds, seeds, st.integers(1, 20_000))
@settings(max_examples=30, deadline=None)
def test_a_device_that_is_slow_to_start_shifts_waits_by_no_more(
    kind: str, seed: int, latency_ns: int
) -> None:
    """A launch reaches a real device after microseconds; intervals are off by no more than these."""
    loop = make_loop(kind, seed)
    truth, records = recorded(loop, device_for(loop, latency_ns=latency_ns))
    for true, record in zip(truth, records, strict=True):
        bound = 2 * latency_ns * 1e-9 + 4 * FLOAT32 * true.device_step_s + NANOSECOND
        assert record.exposed_wait_s == pytest.approx(true.exposed_wait_s, abs=bound)
        assert record.device_step_s == pytest.approx(true.device_step_s, abs=bound)
        assert record.lead_s == pytest.approx(true.lead_s, abs=bound * (record.index + 1))


@pytest.mark.parametrize("rate", [1 - 1e-4, 1 + 1e-4])
def test_a_clock_of_another_rate_is_set_anew_whenever_the_device_is_idle(rate: float) -> None:
    """A lead carried on from the first step would be off by far more than from the last idle moment."""
    loop = make_loop("loader_starved", 1, steps=3000)
    truth, records = recorded(loop, device_for(loop, rate=rate))
    drift_s = 1e-4 * sum(true.step_s for true in truth)
    worst_s = max(abs(r.lead_s - t.lead_s) for t, r in zip(truth, records, strict=True))
    assert worst_s < drift_s / 300


def test_a_lead_is_never_negative() -> None:
    """A device never idle, whose clock runs slow, is bounded by what the host saw."""
    loop = make_loop("run_ahead", 1, steps=1000)
    truth, records = recorded(loop, device_for(loop, rate=1 - 1e-2))
    assert min(record.lead_s for record in records) >= 0.0
    assert 1e-2 * sum(true.step_s for true in truth) > 5 * max(true.lead_s for true in truth)


@pytest.mark.parametrize("seed", range(5))
def test_kinds_of_loops_are_what_they_are_called(seed: int) -> None:
    """Each kind starves for what its name says, and for nothing else."""
    wait_share, lead_share, idle_share = {}, {}, {}
    for kind in KINDS:
        loop = make_loop(kind, seed)
        loop = dataclasses.replace(
            loop, plans=tuple(dataclasses.replace(p, copy_blocks=False) for p in loop.plans)
        )
        device = device_for(loop)
        start_ns = device.host_ns()
        steps = play(loop, device)[10:]
        whole_s = sum(step.device_step_s for step in steps)
        wait_share[kind] = sum(step.exposed_wait_s for step in steps) / whole_s
        lead_share[kind] = sum(step.lead_s for step in steps) / whole_s
        idle_share[kind] = device.idle_ns(start_ns, device.host_ns()) / (
            device.host_ns() - start_ns
        )
    assert wait_share["loader_starved"] > 0.15
    assert idle_share["launch_starved"] > 0.2
    assert wait_share["launch_starved"] < 0.1
    assert lead_share["synchronising"] == 0.0
    assert wait_share["run_ahead"] < 0.05
    assert lead_share["run_ahead"] > 0.1
    assert idle_share["run_ahead"] < 0.1


def test_phases_are_marked_in_every_third_step_only() -> None:
    """At k = 3 the other steps have exposed waits and step times, and no phases on the device."""
    loop = make_loop("balanced", 3)
    truth, records = recorded(loop, device_for(loop), phase_every=3)
    for true, record in zip(truth, records, strict=True):
        assert record.exposed_wait_s == pytest.approx(true.exposed_wait_s)
        assert record.device_step_s == pytest.approx(true.device_step_s)
        phases = [getattr(record, name) for name in DEVICE_PHASES]
        if record.index % 3 == 1:
            assert phases == pytest.approx([getattr(true, name) for name in DEVICE_PHASES])
        else:
            assert all(math.isnan(phase) for phase in phases)


def test_marks_are_used_again() -> None:
    """A long loop needs no more marks than its steps put between two writes."""
    loop = make_loop("synchronising", 0, steps=1000)
    device = device_for(loop)
    recorded(loop, device)
    marks_per_step = 2 + 4 + 4 * max(plan.passes for plan in loop.plans)
    assert device.marks_made <= marks_per_step * (WRITE_EVERY + 2)


def test_the_queue_depth_is_what_the_producer_had_ready() -> None:
    """A starved loop finds its queue empty, one that is not finds batches."""
    starved, fed = make_loop("loader_starved", 2), make_loop("run_ahead", 2)
    depths = {
        name: [record.queue_depth for record in recorded(loop, device_for(loop))[1][20:]]
        for name, loop in (("starved", starved), ("fed", fed))
    }
    assert sum(depths["starved"]) <= 4
    assert min(depths["fed"]) >= 1


def test_no_torch_is_needed() -> None:
    """Recorder and simulator run in a process that never imports torch."""
    code = (
        "import sys, tempfile, pathlib, simulated_loop as s\n"
        "from perfkit.training.probe.recorder import Recorder\n"
        "path = pathlib.Path(tempfile.mkdtemp()) / 'steps.bin'\n"
        "loop = s.make_loop('balanced', 1)\n"
        "device = s.device_for(loop)\n"
        "recorder = Recorder(path, device=device)\n"
        "s.play(loop, device, recorder)\n"
        "assert recorder.steps == 60\n"
        "assert 'torch' not in sys.modules\n"
    )
    folders = [str(Path(__file__).parents[2]), str(Path(__file__).parents[3])]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {folders}\n{code}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def scaled(loop: Loop, factor: float) -> Loop:
    """The same loop with everything so many times as long."""

    def longer(plan: Plan) -> Plan:
        times = {
            field.name: value
            for field in dataclasses.fields(plan)
            if field.name.endswith("_ns") and (value := getattr(plan, field.name)) is not None
        }
        return dataclasses.replace(
            plan,
            **{
                name: tuple(max(1, int(t * factor)) for t in value)
                if isinstance(value, tuple)
                else max(1, int(value * factor))
                for name, value in times.items()
            },
        )

    return dataclasses.replace(
        loop,
        plans=tuple(map(longer, loop.plans)),
        launch_ns=max(1, int(loop.launch_ns * factor)),
    )


@given(kinds, seeds, st.integers(5, 50), st.sampled_from([0.003, 0.03, 0.3, 3.0, 30.0]))
@settings(max_examples=60)
def test_phases_of_a_block_are_the_truth_or_absent(
    kind: str, seed: int, steps: int, factor: float
) -> None:
    """Whatever a step takes and however many a block has: never the host's clock, never a guess."""
    loop = scaled(make_loop(kind, seed, steps=steps), factor)
    mean_s = sum(true.device_step_s for true in play(loop, device_for(loop))) / steps
    truth, records = recorded(loop, device_for(loop), phase_every=marking_period(mean_s, OWN_S))
    means = step_means(records)
    assert (means.clock == "device") == bool(means.phases_s)
    assert bool(means.phases_s) == (marking_period(mean_s, OWN_S) == 1)
    if means.phases_s:
        waits = dict.fromkeys(("waiting", "transfer"), 0.0)
        for true, record in zip(truth, records, strict=True):
            waits["transfer" if record.ready else "waiting"] += true.exposed_wait_s
        for name in ("h2d", "forward", "backward", "optimizer"):
            waits[name] = sum(getattr(true, f"device_{name}_s") for true in truth)
        for name, total_s in waits.items():
            near = pytest.approx(total_s / steps, rel=0.01, abs=1e-6 * mean_s + NANOSECOND)
            assert means.phases_s[name] == near, name
        assert sum(means.phases_s.values()) == pytest.approx(mean_s, rel=1e-6)


def test_a_long_block_of_short_steps_is_told_by_some() -> None:
    """Within 1 % of the truth here; where a stall in every seventh step beats with the marks, not at all."""
    loop = scaled(make_loop("balanced", 4, steps=2000), 0.1)
    truth, records = recorded(loop, device_for(loop), phase_every=5)
    means = step_means(records)
    for name in ("forward", "backward"):
        true_s = sum(getattr(true, f"device_{name}_s") for true in truth) / len(truth)
        assert means.phases_s[name] == pytest.approx(true_s, rel=0.01)
    assert step_means(recorded(loop, device_for(loop), phase_every=7)[1]).phases_s == {}


def test_marks_cost_no_more_than_their_bar() -> None:
    """Every step of 2 ms and longer is marked, one in an odd number of shorter ones."""
    assert [marking_period(s, OWN_S) for s in (0.8, 2e-3, 1.9e-3, 1e-3, 4e-4, 1e-5, 0.0)] == [
        1, 1, 3, 3, 5, 15, 15,
    ]  # fmt: skip
