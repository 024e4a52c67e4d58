"""Ranks of one training joined: the exchange is the least of all, the rest the slowest rank's own cause."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from attached_folders import Script, epochs

from perfkit.diagnosis.judge import judge
from perfkit.records import COLLECTIVE, SpanRecord
from perfkit.study.attached.answer import runs_of
from perfkit.study.attached.ranks import Waits, communication, joined, slowest, spread
from perfkit.study.attached.result import AttachedRun


def reduced(seconds: Sequence[float], first: int = 2) -> Waits:
    """A rank whose reducer timed iterations in a row, one in each step."""
    timed = {(0, number): each for number, each in enumerate(seconds, first)}
    return Waits(reduced_s=timed, per_step={0: 1.0})


def trained(
    *, rank: int, exposed_s: float, world_size: int = 2, every: int = 1, **step: Any
) -> Script:
    """Three epochs of 30 steps, of which the reducer timed iterations 1 to 10 and told them a step later."""
    script = Script(pid=rank + 1, rank=rank, world_size=world_size)
    epochs(script, 3, **step)
    starts = [one.start_ns for one in script.steps]
    for iteration in range(1, 11):
        exposed = 1.0 if iteration == 1 else exposed_s
        told = {"model": 0, "iteration": iteration, "exposed_s": exposed}
        t_ns = starts[(iteration + 1) * every - 1] + 1
        script.events.append({"event": "reducer", "t_ns": t_ns, **told})
    return script


def runs(study: Path, *scripts: Script) -> list[AttachedRun]:
    return runs_of([script.recorded(study) for script in scripts])


def test_each_iteration_counts_for_the_rank_that_waits_least() -> None:
    """Three ranks that are late in turn: they exchange in 1 ms, though each of them mostly waits 11."""
    ranks = [
        reduced([0.011, 0.001, 0.012]), reduced([0.001, 0.012, 0.011]), reduced([0.013, 0.011, 0.001])
    ]  # fmt: skip
    found = communication(ranks)
    assert found is not None
    assert [one.step_s.value for one in found] == [0.001] * 3
    assert [one.waited_s for one in found] == [0.011, 0.011, 0.011]
    assert (found[0].ranks, found[0].sampled_steps) == (3, 3)


def test_calls_of_the_script_add_to_it() -> None:
    """Step by step, over those that all ranks have: one of them was killed earlier."""
    ranks = [
        Waits(called_s=(0.004, 0.002, 0.5), reduced_s={(0, 2): 0.01}, per_step={0: 0.25}),
        Waits(called_s=(0.001, 0.006), reduced_s={(0, 2): 0.03, (0, 3): 7.0}, per_step={0: 0.25}),
    ]
    found = communication(ranks)
    assert found is not None
    assert found[0].step_s.value == pytest.approx((0.001 + 0.002) / 2 + 0.25 * 0.01)
    assert [one.waited_s for one in found] == pytest.approx([0.003 + 0.0025, 0.0035 + 0.0075])


def test_nothing_is_told_of_what_not_all_ranks_have() -> None:
    """No common iteration, no common step, nothing at all."""
    assert communication([reduced([0.01]), reduced([0.01], first=3)]) is None
    assert communication([Waits(called_s=(0.01,)), Waits()]) is None
    assert communication([Waits(), Waits()]) is None


def test_an_exchange_that_all_ranks_wait_for_is_the_verdict(tmp_path: Path) -> None:
    """12 of 25 ms; the first iteration, in which connections are made, is not among them."""
    scripts = [trained(rank=rank, exposed_s=0.012, backward_s=0.020) for rank in (0, 1)]
    found = runs(tmp_path, *scripts)
    judged = judge(found[0].evidence)
    assert judged.primary == "communication_bound"
    assert judged.verdicts[0].share.value == pytest.approx(12 / 25)
    assert "every one of 2 ranks spends at least 12.0 ms" in judged.verdicts[0].evidence[0]
    assert "by 9 steps that DistributedDataParallel timed" in judged.verdicts[0].evidence[0]
    for run in found:
        assert run.row.phases_s["communication"] == pytest.approx(0.012)
        assert run.row.phases_s["backward"] == pytest.approx(0.008)
        assert sum(run.row.phases_s.values()) == pytest.approx(0.025)


def test_gradients_that_are_accumulated_are_exchanged_less_often(tmp_path: Path) -> None:
    """Every fourth step: a quarter of it in each."""
    scripts = [trained(rank=rank, exposed_s=0.012, every=4) for rank in (0, 1)]
    for run in runs(tmp_path, *scripts):
        assert run.row.phases_s["communication"] == pytest.approx(0.012 / 4)


@pytest.mark.parametrize(
    ("updates", "needless"), [((0, 0, 0, 1), 0.75), ((1,), 0.0), ((2,), 0.0), ((0,), 0.0)]
)
def test_exchanges_that_no_update_follows_are_needless(
    tmp_path: Path, updates: tuple[int, ...], needless: float
) -> None:
    """Four batches an update, one, half of one (a GAN), and an optimizer that is compiled into the graph."""
    scripts = [trained(rank=rank, exposed_s=0.012, backward_s=0.020) for rank in (0, 1)]
    for script in scripts:
        script.steps = [
            step._replace(updates=updates[step.index % len(updates)]) for step in script.steps
        ]
    for run in runs(tmp_path, *scripts):
        told = run.evidence.communication
        assert told is not None and told.reduces
        assert told.needless_share == pytest.approx(needless, abs=0.01)


def test_accumulation_without_exchanges_has_no_needless_ones(tmp_path: Path) -> None:
    """The reducer was told not to synchronise in three of four backwards."""
    scripts = [trained(rank=rank, exposed_s=0.012, every=4) for rank in (0, 1)]
    for script in scripts:
        script.steps = [step._replace(updates=int(step.index % 4 == 3)) for step in script.steps]
    for run in runs(tmp_path, *scripts):
        assert run.evidence.communication is not None
        assert run.evidence.communication.needless_share == pytest.approx(0.0, abs=0.05)


def test_what_is_waited_for_a_slow_rank_is_that_ranks_cause(tmp_path: Path) -> None:
    """Rank 1 waits 20 ms for its data, and rank 0 in its backward: no communication, rank 1 is named."""
    fast = trained(rank=0, exposed_s=0.0201, backward_s=0.0251)
    slow = trained(rank=1, exposed_s=0.0001, backward_s=0.0051, wait_s=0.021)
    found = runs(tmp_path, fast, slow)
    told = slowest(found)
    assert told is not None and told.row.key == "run/rank1"
    judged = judge(told.evidence)
    assert judged.primary == "input_bound"
    assert "communication_bound" not in {verdict.kind for verdict in judged.verdicts}
    (note,) = spread(found, told)
    assert "it is longer by 20.0 ms in waiting for a batch" in note.text
    assert "for other ranks beyond the exchange: rank0 20.0 ms, rank1 0 s" in note.text


def test_a_rank_that_computes_longer_in_its_backward_is_the_slowest(tmp_path: Path) -> None:
    """Both backwards take 25 ms; the slow rank waits in none of it."""
    fast = trained(rank=0, exposed_s=0.0201, backward_s=0.0251)
    slow = trained(rank=1, exposed_s=0.0001, backward_s=0.0251)
    found = runs(tmp_path, fast, slow)
    told = slowest(found)
    assert told is not None and told.row.key == "run/rank1"
    assert "longer by 20.0 ms in backward" in spread(found, told)[0].text


def test_without_every_rank_there_is_no_figure(tmp_path: Path) -> None:
    """The least of some ranks is not the least of all: one has not written yet, or is on another machine."""
    scripts = [trained(rank=rank, exposed_s=0.012, world_size=3) for rank in (0, 1)]
    for run in runs(tmp_path, *scripts):
        assert "communication" not in run.row.phases_s
        assert run.evidence.attribution is not None
        assert run.evidence.attribution.unavailable["communication"] == "no_data"


def test_collectives_that_the_script_calls_are_communication(tmp_path: Path) -> None:
    """Those in its steps, wherever in them; one between epochs is in none."""
    scripts = []
    for rank, span_s in ((0, 0.004), (1, 0.003)):
        script = epochs(Script(pid=rank + 1, rank=rank, world_size=2), 3, other_s=0.005)
        for step in script.steps:
            # between the update and the end of the step, in no phase
            start_ns = step.start_ns + 10_500_000
            script.spans.append(SpanRecord(COLLECTIVE, step.index, start_ns, span_s, span_s))
        script.rest(0.1)
        script.spans.append(SpanRecord(COLLECTIVE, 90, script.now_ns, 2.0, 2.0))
        scripts.append(script)
    found = runs(tmp_path, *scripts)
    assert [run.row.phases_s["communication"] for run in found] == pytest.approx([0.003, 0.003])
    assert [run.row.phases_s["other"] for run in found] == pytest.approx([0.001, 0.002])
    # what rank 0 waits longer stays with its backward
    assert [run.row.phases_s["backward"] for run in found] == pytest.approx([0.006, 0.005])
    waited = [run.evidence.communication for run in found]
    assert [one and one.waited_s for one in waited] == pytest.approx([0.004, 0.003])


def test_one_process_alone_stays_as_it_is(tmp_path: Path) -> None:
    """A script that wraps its model for a world of one."""
    found = runs(tmp_path, trained(rank=0, exposed_s=0.012, world_size=1))
    assert joined(found) == found
    assert "communication" not in found[0].row.phases_s
