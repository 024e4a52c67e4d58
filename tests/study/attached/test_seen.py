"""What the sampler of stacks saw: names of work, and of time that is in nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from attached_folders import Script, diagnosed, epochs, run_of

from perfkit.diagnosis.evidence import OwnWork
from perfkit.records import NAN
from perfkit.study.attached.passes import NO_LOADER
from perfkit.study.seen import functions_in, period

PLOTS = {"where": "_train.py:14", "function": "make_plots"}
BURN = {"inner": "burn", "inner_where": "_common.py:5"}


def by_hand(**seconds: float) -> Script:
    """Batches made by hand, 15 ms of a step of 26; of the first steps no forward is seen yet."""
    script = Script()
    for step in range(200):
        seen = step >= 16
        forward_s, other_s = (0.004, 0.015) if seen else (NAN, 0.019)
        script.step(
            NO_LOADER, wait_s=0.0, forward_s=forward_s, backward_s=0.004, optimizer_s=0.003, other_s=other_s,
        )  # fmt: skip
    for function, spent_s in seconds.items():
        script.event("stack", where="train.py:13", function=function, seconds=spent_s)
    return script


@pytest.mark.parametrize(("forward_s", "named"), [(0.041, True), (0.039, False)])
def test_a_forward_that_takes_longer_than_backward_has_a_remedy(
    tmp_path: Path, forward_s: float, named: bool
) -> None:
    """With the function that most of it was seen in, and lines to change."""
    script = Script()
    for _ in range(200):
        script.step(0, wait_s=0.0, forward_s=forward_s, backward_s=0.04, optimizer_s=0.002)
    script.event("forward_stack", where="train.py:31", function="match", seconds=3.0)
    script.event("forward_stack", where="train.py:40", function="forward", seconds=1.0)
    found = diagnosed(script, tmp_path)
    assert found.primary == "compute_bound"
    told = [one for one in found.verdicts[0].evidence if "`match` (train.py:31)" in one]
    remedies = {one.name: one for one in found.remedies}
    assert bool(told) == named == ("vectorised_forward" in remedies)
    if named:
        assert "75 % of forward" in told[0]
        assert remedies["vectorised_forward"].snippet.startswith("# match (train.py:31)\n")


def test_a_batch_of_unknown_size_is_not_to_be_larger(tmp_path: Path) -> None:
    """Batches made by hand have nobody who says how many samples they are."""
    known, unknown = (
        {one.name for one in diagnosed(computing(samples), tmp_path / str(samples)).remedies}
        for samples in (8, -1)
    )
    assert "batch_size" in known
    assert "batch_size" not in unknown


def computing(samples: int) -> Script:
    """Steps without a loader, whose batches have so many samples."""
    script = Script()
    for _ in range(200):
        script.step(NO_LOADER, wait_s=0.0, forward_s=0.02, backward_s=0.04, samples=samples)
    return script


@pytest.mark.parametrize(("operators", "named"), [(430, False), (440, True)])
def test_operators_that_are_many_and_small_are_told(
    tmp_path: Path, operators: int, named: bool
) -> None:
    """From 15 % of forward and backward on, of 30 ms here at 10 µs for one."""
    script = Script()
    for _ in range(200):
        script.step(0, wait_s=0.0, forward_s=0.012, backward_s=0.017, optimizer_s=0.001)
    script.event("launching", operators=operators, operator_s=10e-6)
    found = diagnosed(script, tmp_path)
    assert found.primary == "compute_bound", "one witness is none"
    told = [one for one in found.verdicts[0].evidence if "many and small" in one]
    assert bool(told) == named


def test_batches_made_by_hand_are_named(tmp_path: Path) -> None:
    """What was seen accounts for the time: the verdict is its name, and how to have them made ahead."""
    found = diagnosed(by_hand(get_batch=2.0, log=0.1), tmp_path)
    assert found.primary == "untracked"
    first = found.verdicts[0]
    assert first.stage == "get_batch (train.py:13)"
    assert first.share.value == pytest.approx(15 / 26, rel=0.01)
    assert first.evidence[1:] == ("`get_batch` (train.py:13) takes 95 % of them.",)
    ahead = found.remedies[0]
    assert ahead.name == "batches_ahead"
    assert ahead.snippet.startswith("# get_batch (train.py:13)\n")
    assert "yield get_batch()" in ahead.snippet


@pytest.mark.parametrize(("in_steps", "named"), [(4, True), (60, False)])
def test_rare_work_beside_batches_made_by_hand_is_named_too(
    tmp_path: Path, in_steps: int, named: bool
) -> None:
    """Half a second every 50 steps, seen in a few of them; what is seen in many of them is no such work."""
    script = Script()
    for step in range(200):
        other_s = 0.515 if step % 50 == 49 else 0.015
        times = {"forward_s": 0.004, "backward_s": 0.004, "optimizer_s": 0.003, "other_s": other_s}
        script.step(NO_LOADER, wait_s=0.0, **times)
    batches = {"where": "train.py:13", "function": "get_batch", "seconds": 2.0}
    script.event("stack", **batches, in_steps=40, of_steps=200)
    plots = {"where": "train.py:20", "function": "make_plots", "seconds": 1.9}
    script.event("stack", **plots, in_steps=in_steps, of_steps=200)
    run = run_of(script, tmp_path)
    assert list(run.loop.work_s) == ["make_plots (train.py:20)" if named else "work between steps"]
    assert run.loop.work_s.popitem()[1] == pytest.approx(2.0, rel=0.01)  # type: ignore[attr-defined]
    told = ["get_batch (train.py:13)", "make_plots (train.py:20)"]
    assert list(run.loop.untracked) == (told[:1] if named else told)


@pytest.mark.parametrize(("named_s", "primary"), [(0.6, "inconclusive"), (0.7, "untracked")])
def test_what_was_seen_counts_as_accounted_for(
    tmp_path: Path, named_s: float, primary: str
) -> None:
    """58 % are in no phase: of these 65 % have to be named for 80 % of the whole."""
    rest = {f"f{number}": (1 - named_s) / 8 for number in range(8)}
    assert diagnosed(by_hand(get_batch=named_s, **rest), tmp_path).primary == primary


def test_without_samples_time_by_hand_is_inconclusive(tmp_path: Path) -> None:
    assert diagnosed(by_hand(), tmp_path).primary == "inconclusive"


def test_steps_whose_forward_was_not_seen_yet_do_not_stand_for_the_epoch(tmp_path: Path) -> None:
    run = run_of(by_hand(), tmp_path)
    assert len(run.loop.steady) == 184
    assert run.row.phases_s["forward"] == pytest.approx(0.004)
    assert run.row.phases_s["other"] == pytest.approx(0.015)


def plots(script: Script, every: int = 10) -> Script:
    """Plots in every so-many-th step, across epochs."""
    script.loader()
    step = 0
    for _ in range(4):
        number = script.begin()
        for _ in range(25):
            step += 1
            script.step(number, other_s=0.1 if step % every == 0 else 0.0)
        script.end(number)
    return script


def test_work_between_steps_has_its_period_and_what_most_of_it_is_in(tmp_path: Path) -> None:
    """Ten steps from one to the next, although epochs have 25."""
    script = plots(Script())
    script.event("stack", **PLOTS, **BURN, seconds=0.6)
    script.event("stack", **PLOTS, seconds=0.4)
    run = run_of(script, tmp_path)
    name = "make_plots (_train.py:14)"
    assert list(run.loop.work_s) == [name]
    own = OwnWork(between_steps=True, every_steps=10, inner="burn, _common.py:5")
    assert run.evidence.work == {name: own}
    diagnosis = diagnosed(replace(script, pid=101), tmp_path)
    (remedy,) = (one for one in diagnosis.remedies if one.name == "periodic_every")
    assert "every 10 steps costs" in remedy.why
    assert "if step % 20 == 0:\n    make_plots(...)" in remedy.snippet


def test_a_stall_between_is_not_the_same_work(tmp_path: Path) -> None:
    """20 ms in a step here and there, beside plots of 100, of which the first takes 500."""
    script = Script()
    script.loader()
    number = script.begin()
    for step in range(200):
        plotted_s = 0.0 if step % 20 else 0.1 if step else 0.5
        script.step(number, other_s=0.02 if step in (7, 33, 91, 150) else plotted_s)
    run = run_of(script, tmp_path)
    assert run.evidence.work["work between steps"].every_steps == 20


def test_work_in_every_step_is_done_every_step(tmp_path: Path) -> None:
    script = epochs(Script(), 3, other_s=0.010)
    script.event("stack", **PLOTS, seconds=1.0)
    found = run_of(script, tmp_path).evidence.work
    assert found == {"make_plots (_train.py:14)": OwnWork(between_steps=True, every_steps=1)}


@pytest.mark.parametrize(("seconds", "most"), [(1.9, False), (2.1, True)])
def test_a_function_that_mostly_calls_networks_is_told_apart(
    tmp_path: Path, seconds: float, most: bool
) -> None:
    """By all of its samples, 2 s of which were in code of its own."""
    script = epochs(Script(), 3, forward_s=0.02)
    script.event("forward_stack", where="clf.py:7", function="embed", seconds=2.0)
    script.event(
        "forward_stack", where="clf.py:7", function="embed", seconds=seconds, in_network=True
    )
    (found,) = run_of(script, tmp_path).evidence.long_forward.values()
    assert found.in_network is most


def test_half_of_a_function_s_time_is_not_most_of_it(tmp_path: Path) -> None:
    script = Script()
    script.step(NO_LOADER)
    script.event("stack", **PLOTS, **BURN, seconds=0.5)
    script.event("stack", **PLOTS, seconds=0.5)
    (seen,) = functions_in(script.recorded(tmp_path).told("stack"))
    assert (seen.name, seen.seconds, seen.inner) == ("make_plots (_train.py:14)", 1.0, None)


def test_a_line_in_no_function_is_named_by_itself(tmp_path: Path) -> None:
    script = Script()
    script.step(NO_LOADER)
    script.event("stack", where="train.py:14", function="<module>", seconds=0.5)
    (seen,) = functions_in(script.recorded(tmp_path).told("stack"))
    assert seen.name == "train.py:14"


@pytest.mark.parametrize(
    ("places", "every"),
    [
        ([49, 99, 149, 199], 50),
        ([49, 99], None),
        ([], None),
        ([0, 49, 99, 149, 199, 249, 299], 50),
        ([3, 49, 60, 149], None),
    ],
)
def test_the_period_of_work(places: list[int], every: int | None) -> None:
    """Of two times it is not known; one that is out of step among six does not matter."""
    assert period(places) == every
