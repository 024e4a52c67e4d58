"""`perfkit diagnose` where something is missing: a part of the epoch that was lost, or all after Ctrl-C."""

from __future__ import annotations

import pytest
from bench_command import Command, Ran
from evidences import Plant
from fake_engine import FakeEngine

from perfkit.document import Diagnosis
from perfkit.errors import EXIT_INCONCLUSIVE, EXIT_INTERRUPTED, EXIT_OK
from perfkit.runfolder import StudyFolder

FP32 = "convnext/fp32"
SIZE = ("--num-samples", "1600")
SLOW = Plant(storage_s=0.1, parts_s={"evaluation": 2.0, "metrics": 0.1, "epoch_start": 0.2})
"""A step of 102.5 ms, of which it waits 72.5."""


def found(ran: Ran) -> Diagnosis:
    assert ran.document.diagnosis is not None
    return ran.document.diagnosis


def losing(plant: Plant, *parts: str) -> FakeEngine:
    return FakeEngine(plants={FP32: plant}, loses={(FP32, 1): parts})


def said(ran: Ran) -> str:
    return " ".join(ran.out.split())


@pytest.mark.parametrize(
    ("lost", "part", "called"),
    [
        ("evaluation", "eval", "evaluation"),
        ("epoch_start", "startup", "its start"),
        ("metrics", "periodic", "metrics"),
    ],
)
def test_a_lost_edge_leaves_the_verdict_on_the_step(
    diagnose: Command, lost: str, part: str, called: str
) -> None:
    """Waits are known: what was lost is null with its reason, in no share, and said to be missing."""
    ran = diagnose(losing(SLOW, lost), *SIZE)
    diagnosis = found(ran)
    assert (ran.code, diagnosis.primary) == (EXIT_OK, "input_bound")
    assert part not in diagnosis.breakdown_s and diagnosis.unavailable[part] == "failed"
    known_s = 10.25 + sum(s for name, s in SLOW.parts_s.items() if name != lost)
    assert sum(diagnosis.breakdown_s.values()) == pytest.approx(known_s)
    (row,) = ran.document.rows
    assert (row.epoch_time_s, row.epoch_parts_s) == (None, {})
    assert f"planted {lost}" in ran.out
    more = f"what the epoch spends on {called} is not known"
    assert more in said(ran) and "it would come first with more than 7.25 s" in said(ran)
    assert [w.code for w in ran.document.warnings if more in w.text] == ["epoch_incomplete"]


def test_of_a_part_that_is_known_in_part_what_is_missing_is_named(diagnose: Command) -> None:
    """Plots were timed and metrics were not: periodic work has its seconds, and a reason for metrics."""
    plant = Plant(storage_s=0.1, parts_s={"metrics": 0.1, "visualisation": 0.3})
    diagnosis = found(diagnose(losing(plant, "metrics"), *SIZE))
    assert diagnosis.breakdown_s["periodic"] == pytest.approx(0.3)
    assert diagnosis.unavailable["metrics"] == "failed"
    assert "periodic" not in diagnosis.unavailable


@pytest.mark.parametrize(
    ("waits", "primary"), [(0.19, "input_bound"), (0.16, "inconclusive"), (0.0, "inconclusive")]
)
def test_what_was_lost_may_be_the_larger_cause(
    diagnose: Command, waits: float, primary: str
) -> None:
    """An unknown evaluation is taken for 15 % of the epoch at most: 17.6 % of what is known of it."""
    # 30 ms of computing and half a millisecond of handing over, and so much of all as waiting
    step_s = 0.0305 / (1 - waits)
    plant = Plant(storage_s=step_s - 0.0025 if waits else 0.0, parts_s={"evaluation": 2.0})
    ran = diagnose(losing(plant, "evaluation"), *SIZE)
    assert found(ran).primary == primary
    because = found(ran).inconclusive_because
    if primary == "inconclusive":
        assert ran.code == EXIT_INCONCLUSIVE
        assert because is not None and because.startswith("what evaluation takes was not measured")
    else:
        assert (ran.code, because) == (EXIT_OK, None)


@pytest.mark.parametrize(("start_s", "primary"), [(0.05, "compute_bound"), (0.5, "inconclusive")])
def test_starting_an_epoch_takes_no_longer_than_the_first_time(
    diagnose: Command, start_s: float, primary: str
) -> None:
    """Of that there is a figure: workers and first batch of the run, against 6 s of steps."""
    once = {"worker_start": start_s / 2, "first_batch": start_s / 2, "first_step": 0.06}
    plant = Plant(compute_s=0.06, startup_s=once, parts_s={"epoch_start": 0.01})
    ran = diagnose(losing(plant, "epoch_start"), *SIZE)
    assert found(ran).primary == primary


def test_what_was_lost_of_the_largest_cause_only_makes_it_larger(diagnose: Command) -> None:
    """Metrics take 8 % of the epoch, and an evaluation that is not known would be of the same kind."""
    plant = Plant(compute_s=0.06, parts_s={"metrics": 0.8, "evaluation": 2.0})
    ran = diagnose(losing(plant, "evaluation"), *SIZE)
    assert found(ran).primary == "periodic_bound"


@pytest.mark.parametrize("palindromes", [1, 6])
def test_an_interrupt_leaves_a_verdict_on_what_was_timed(
    diagnose: Command, palindromes: int
) -> None:
    """Ctrl-C in the first generation: the verdict on its blocks, what is missing, 130, and how to go on."""
    stopped = FakeEngine(plants={FP32: SLOW}, interrupt_in=1, interrupt_after=palindromes)
    ran = diagnose(stopped, *SIZE)
    folder = StudyFolder.find("latest").path
    diagnosis = found(ran)
    assert (ran.code, diagnosis.primary) == (EXIT_INTERRUPTED, "input_bound")
    assert not ran.document.complete and "Not complete" in ran.out
    assert diagnosis.breakdown_s["waiting"] == pytest.approx(7.25)
    for part in ("eval", "periodic", "startup"):
        assert part not in diagnosis.breakdown_s
        assert diagnosis.unavailable[part] == "interrupted"
    assert diagnosis.loader_samples_per_sec is None
    blocks = f"what is said rests on the {6 * palindromes} blocks that were timed until then"
    assert blocks in said(ran) and "the study was interrupted before" in said(ran)
    assert f"go on with: perfkit diagnose --resume {folder}" in ran.err
    ran = diagnose(FakeEngine(plants={FP32: SLOW}), "--resume", "latest")
    assert ran.code == EXIT_OK and ran.document.complete
    assert found(ran).breakdown_s["eval"] == pytest.approx(2.0), "it was run anew, and whole"


def test_an_interrupt_where_nothing_is_large_concludes_nothing(diagnose: Command) -> None:
    """Evaluation was still to come: it may be what holds it back."""
    plant = Plant(compute_s=0.06)
    stopped = FakeEngine(plants={FP32: plant}, interrupt_in=1, interrupt_after=2)
    ran = diagnose(stopped, *SIZE)
    assert (ran.code, found(ran).primary) == (EXIT_INTERRUPTED, "inconclusive")
    because = found(ran).inconclusive_because
    assert because is not None and because.endswith("run it to its end")
