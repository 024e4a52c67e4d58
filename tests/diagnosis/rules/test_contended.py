"""Workers that take cores from the training: by arms and by run delay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from evidences import CONFIG, blocks, evidence, spread

from perfkit.diagnosis.evidence import OwnWork
from perfkit.diagnosis.rules.contended import MODERATE_SHARE, check
from perfkit.document import Finding

TRAINING = replace(CONFIG, num_samples=1600, num_workers=2)


def checked(
    idle_s: float, running_s: float, making: Mapping[str, OwnWork] | None = None, **told: Any
) -> Finding | None:
    """100 steps of 0.1 s; beside idle and running workers a replayed step takes so long."""
    arms = [
        *blocks("real", 0.1, **told),
        *blocks("replay", idle_s),
        *blocks("replay_running", running_s),
    ]
    phases = {"forward": 0.04, "backward": 0.06}
    made = evidence(TRAINING, 2, epoch_parts_s={"steps": 10.0}, phases_s=phases)
    return check(replace(made, stretches=tuple(arms), making=making or {}))


def test_it_fires_at_its_threshold_and_not_below() -> None:
    """5 ms of a step of 100 ms are 5 % of the epoch."""
    assert checked(0.08, 0.0851) is not None
    assert checked(0.08, 0.0849) is None
    assert MODERATE_SHARE == 0.05


def test_both_witnesses_are_told() -> None:
    """23 ms by the arms, 20 by the kernel; the workers use as much as there is."""
    found = checked(0.009, 0.032, run_delay_s=0.02, workers_cpu_s=1.3)
    assert found is not None
    assert (found.severity, found.flags) == ("high", ("full",))
    assert found.share == pytest.approx(0.23)
    assert found.removable_s is not None and found.removable_s.value == pytest.approx(2.3)
    arms, delay, ready = found.evidence
    assert "takes 23.0 ms longer beside running workers" in arms
    assert "had no core for 20.0 ms of a step" in delay
    assert ready == "The next batch was ready at 100 % of the steps: waits do not show this."


def test_what_the_workers_do_is_told() -> None:
    """A function of the user's own that could be cheaper."""
    making = {
        "__getitem__ (eeg.py:51)": OwnWork(
            share=0.9, inner="filter_bank, eeg.py:41", inner_share=0.7
        )
    }
    found = checked(0.009, 0.032, making=making)
    assert found is not None and found.where == "filter_bank (eeg.py:41)"
    assert found.evidence[-1] == (
        "90 % of the workers' work was seen in `__getitem__` (eeg.py:51), most of it in filter_bank,"
        " eeg.py:41."
    )


def test_cores_that_are_not_full_are_fought_for_all_the_same() -> None:
    """Threads that spin, a shared cache: somebody loses time and no core is to be had for it."""
    found = checked(0.009, 0.032, workers_cpu_s=0.2)
    assert found is not None and found.flags == ("fighting",)


def test_without_workers_there_is_nobody_to_contend_with() -> None:
    """Whatever the run delay says, it is not the loader's."""
    alone = evidence(replace(TRAINING, num_workers=0), 2, run_delay_s=0.05)
    assert check(alone) is None


def test_a_row_of_bench_has_the_kernel_s_word() -> None:
    """No arms were run there."""
    row = {"epoch_parts_s": {"steps": 10.0}, "phases_s": {"forward": 0.04, "backward": 0.06}}
    found = check(evidence(TRAINING, 2, run_delay_s=0.02, **row))
    assert found is not None and found.share == pytest.approx(0.2)


def test_an_interval_that_holds_nothing_says_nothing() -> None:
    """20 ms ± 50: it may be none; ± 6 is not."""
    for by, fires in ((0.8, False), (0.1, True)):
        running = spread(blocks("replay_running", 0.06), by)
        arms = [*blocks("real", 0.1), *blocks("replay", 0.04), *running]
        phases = {"forward": 0.04, "backward": 0.06}
        made = replace(evidence(TRAINING, 2, phases_s=phases), stretches=tuple(arms))
        assert (check(made) is not None) is fires


def test_few_palindromes_leave_it_to_the_kernel() -> None:
    """Three of them, and a run delay of 10 ms."""
    phases = {"forward": 0.04, "backward": 0.06}
    arms = [
        *blocks("real", 0.1, run_delay_s=0.01, palindromes=3),
        *blocks("replay", 0.05, run_delay_s=0.0, palindromes=3),
        *blocks("replay_running", 0.08, palindromes=3),
    ]
    made = evidence(TRAINING, 2, phases_s=phases)
    found = check(replace(made, stretches=tuple(arms)))
    assert found is not None and found.share == pytest.approx(0.1)


def test_on_a_shared_machine_it_is_silent() -> None:
    """Somebody else's load is nobody's contention."""
    assert checked(0.009, 0.032, disturbed=True) is None
