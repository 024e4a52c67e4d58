"""When the judge does not conclude, and when a doubt is too small to keep it from that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evidences import blocks, spread
from judgements import arms, judged, waiting

from perfkit.diagnosis.judge import Judgement


def test_full_cores_of_which_nobody_tells_are_not_computing() -> None:
    """On a CPU, workers busy, no arms and no run delay: it may be contention."""
    found = judged(loader={"busy_share": 0.9}, cores=2)
    assert found.primary == "inconclusive"
    assert found.inconclusive_because is not None and "time-budget" in found.inconclusive_because
    assert judged(loader={"busy_share": 0.9}, cores=8).primary == "compute_bound"


def test_a_shared_machine_is_told() -> None:
    """More than a quarter of the blocks ran beside somebody else's load."""
    stretches = [replace(s, disturbed=n % 3 == 0) for n, s in enumerate(arms())]
    found = judged(*stretches)
    assert found.primary == "inconclusive"
    assert "12 of 36 blocks" in (found.inconclusive_because or "")


def test_witnesses_that_disagree_do_not_conclude() -> None:
    """The arms see 20 ms of a step and the kernel none."""
    found = judged(*arms(0.1, 0.05, 0.07, run_delay_s=0.0))
    assert found.primary == "inconclusive"
    assert "run delay" in (found.inconclusive_because or "")


def test_too_few_palindromes_do_not_conclude_contention() -> None:
    """Six make an interval."""
    stretches = [s for s in arms(0.1, 0.05, 0.09) if s.palindrome < 3]
    found = judged(*stretches)
    assert found.primary == "inconclusive" and "3 palindromes" in (found.inconclusive_because or "")


def test_an_epoch_that_is_not_known_does_not_conclude() -> None:
    """What was lost may have been most of it."""
    assert judged(epoch_parts_s={}).primary == "inconclusive"
    half = judged(*arms(), phases_s={"forward": 0.05})
    assert half.primary == "inconclusive" and "50 %" in (half.inconclusive_because or "")


def test_contention_that_may_be_none_does_not_conclude() -> None:
    """20 ms ± 50 by the arms alone; the kernel's word ends the doubt either way."""

    def wide(**told: Any) -> Judgement:
        running = spread(blocks("replay_running", 0.1), 0.5)
        real = blocks("real", 0.1, **told)
        return judged(*real, *blocks("replay", 0.08, **(told and {"run_delay_s": 0.0})), *running)

    alone = wide()
    assert alone.primary == "inconclusive"
    assert "not known well enough: 20 ± 57 ms" in (alone.inconclusive_because or "")
    assert wide(run_delay_s=0.02).primary == "contended"


def test_a_difference_that_nobody_explains_does_not_conclude() -> None:
    """30 ms of 70 are neither waited nor cost by running workers."""
    step_s, idle_s = 16 / 230, 16 / 410
    row = {"epoch_parts_s": {"steps": 100 * step_s}, "phases_s": {"forward": step_s}}
    found = judged(*arms(step_s, idle_s, idle_s + 0.001), **row)
    assert found.primary == "inconclusive"
    because = found.inconclusive_because or ""
    assert "29.5 ms longer than a step of 39.0 ms" in because
    assert "perfkit bench --sweep num_workers=0,1,2" in because


def test_more_than_the_doubt_concludes() -> None:
    """Waiting for 60 % of a step stands, whatever few palindromes say of the rest."""
    stretches = [s for s in arms(0.1, 0.03, 0.05, waits=(0.06,) * 10, ready=0) if s.palindrome < 3]
    assert judged(*stretches, **waiting(0.06)).primary == "input_bound"


def test_only_much_that_is_untracked_is_a_cause() -> None:
    """Of 10 % it is told, of 17 it comes first, of 25 nothing can be said."""
    little, much, most = (
        judged(*arms(), phases_s={"waiting": 0.0, "forward": forward_s})
        for forward_s in (0.09, 0.083, 0.075)
    )
    assert (little.primary, much.primary, most.primary) == (
        "compute_bound", "untracked", "inconclusive",
    )  # fmt: skip
    assert [v.kind for v in little.verdicts] == ["compute_bound", "untracked"]
    assert "25.0 ms of a step of 100 ms in nothing of it" in (most.inconclusive_because or "")


def test_a_cause_that_nothing_unknown_could_outdo_stands() -> None:
    """Of the steps 40 % is in nothing; evaluation that takes longer than that is the largest cause."""
    found = [
        judged(
            *arms(),
            phases_s={"waiting": 0.0, "forward": 0.06},
            epoch_parts_s={"steps": 10.0, "evaluation": evaluation_s},
        ).primary
        for evaluation_s in (4.2, 3.8)
    ]
    assert found == ["periodic_bound", "inconclusive"]


def test_waits_that_were_not_recorded_do_not_conclude() -> None:
    """Computing may be all, or half."""
    found = judged(exposed_wait_s=None, phases_s={"forward": 0.1}, cores=8)
    assert found.primary == "inconclusive"
    assert "was not recorded" in (found.inconclusive_because or "")
