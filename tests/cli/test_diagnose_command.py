"""`perfkit diagnose` whole, from its flags down to the Document and the exit code, on exact numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from bench_command import Command
from evidences import Plant
from fake_engine import FakeEngine

from perfkit import documentfile as documents
from perfkit.document import Diagnosis
from perfkit.errors import EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_INTERRUPTED, EXIT_OK
from perfkit.runfolder import StudyFolder

FP32 = "convnext/fp32"
SIZE = ("--num-samples", "1600")
SLOW = Plant(storage_s=0.1)
PLANTS = {
    "input_bound": SLOW,
    "contended": Plant(spinning_s=0.02),
    "compute_bound": Plant(compute_s=0.06),
    "balanced": Plant(storage_s=0.028),
    "inconclusive": Plant(disturbed=True),
}


def engine(plant: Plant, **told: object) -> FakeEngine:
    """One that has planted this in its only training."""
    return FakeEngine(plants={FP32: plant}, **told)  # type: ignore[arg-type]


def shaken(seed: int) -> Callable[[str, int, int], float]:
    """Noise of 1 % on blocks."""
    source = Random(seed)
    return lambda key, generation, block: 1 + source.gauss(0.0, 0.01)


def found(document: documents.Document) -> Diagnosis:
    assert document.diagnosis is not None
    return document.diagnosis


@pytest.mark.parametrize(("primary", "plant"), PLANTS.items(), ids=PLANTS)
def test_what_is_planted_is_found(diagnose: Command, primary: str, plant: Plant) -> None:
    """Verdict, exit code, and the same on stdout: 4 where nothing was concluded, else 0."""
    ran = diagnose(engine(plant), *SIZE)
    assert found(ran.document).primary == primary
    assert ran.code == (EXIT_INCONCLUSIVE if primary == "inconclusive" else EXIT_OK)
    assert ran.document.complete and not ran.document.unavailable
    assert f"\nVerdict  {primary}" in ran.out
    assert "\nThe epoch " in ran.out and "\n├─ steps " in ran.out and "\nNext  " in ran.out
    assert ("\nRemedies\n" in ran.out) is bool(found(ran.document).remedies)
    assert "sized for 2 cores" in ran.err and "stored in .perfkit" in ran.err


def test_a_slow_loader(diagnose: Command) -> None:
    """102.5 ms a batch against 30 of computing: the numbers, and what four workers would be worth."""
    fake = engine(SLOW)
    ran = diagnose(fake, *SIZE, "--seed", "3")
    diagnosis = found(ran.document)
    assert ran.out.startswith("Data loading costs 71 % of the epoch: ")
    assert "reading samples from storage" in " ".join(ran.out.split())
    verdict = diagnosis.verdicts[0]
    assert (verdict.kind, verdict.stage, verdict.flags) == (
        "input_bound", "storage", ("too_few_workers",),
    )  # fmt: skip
    assert diagnosis.breakdown_s["waiting"] == pytest.approx(7.25)
    assert diagnosis.breakdown_s["compute"] == pytest.approx(3.0)
    assert diagnosis.differential_s["input"].value == pytest.approx(0.0725)
    assert diagnosis.loader_samples_per_sec == pytest.approx(16 / 0.1025)
    assert diagnosis.compute_samples_per_sec == pytest.approx(16 / 0.03)
    assert diagnosis.workers_needed == 4
    first = diagnosis.remedies[0]
    assert (first.name, first.variant, first.basis) == (
        "num_workers",
        "num_workers=4",
        "arithmetic",
    )
    assert first.predicted_speedup is not None
    assert first.predicted_speedup.value == pytest.approx(10.25 / 3.0, rel=0.01)
    assert first.command is not None and first.command in " ".join(ran.out.split())
    (plan,) = fake.plans
    assert plan.arms == ("real", "replay", "replay_running") and plan.palindromes == 6
    assert plan.rows[0].config.seed == 3
    assert ran.document.method["arms"] == ["real", "replay", "replay_running"]
    assert (ran.document.method["blocks"], ran.document.method["dropped"]) == (36, [])
    assert ran.document.method["interval"].endswith("of differences between arms, over palindromes")


def test_without_workers_nobody_contends(diagnose: Command) -> None:
    """The running arm is not planned, and not missed."""
    fake = engine(Plant(decode_s=0.02))
    ran = diagnose(fake, *SIZE, "--num-workers", "0")
    assert fake.plans[0].arms == ("real", "replay")
    assert found(ran.document).primary == "input_bound"
    assert found(ran.document).unavailable["contention"] == "not_applicable"
    assert "ready" not in ran.out, "nothing makes batches before they are asked for"
    assert ran.document.method["dropped"] == []


def test_what_is_measured_once_has_no_interval(diagnose: Command) -> None:
    """Evaluation, periodic work and starting are told without one, as are the remedies that concern them."""
    parts = {"metrics": 1.5, "evaluation": 2.0, "epoch_start": 0.5}
    once = {"worker_start": 0.1, "first_batch": 0.2, "first_step": 0.9}
    fake = engine(Plant(parts_s=parts, startup_s=once), noise=shaken(1))
    ran = diagnose(fake, *SIZE, "--epochs", "2")
    diagnosis = found(ran.document)
    assert diagnosis.primary == "periodic_bound"
    assert {v.share.low for v in diagnosis.verdicts} == {None}
    assert "without it an epoch would be 3.50 s shorter" in ran.out
    remedy = next(one for one in diagnosis.remedies if one.name == "metrics_every")
    assert remedy.saves_s is not None and remedy.saves_s.low is None
    assert remedy.saves_s.value == pytest.approx(0.75)
    (line,) = [line for line in ran.out.splitlines() if line.startswith("metrics_every=20")]
    assert "0.750 s" in line and "[" not in line


def test_steps_too_long_for_arms(diagnose: Command) -> None:
    """Arms and the loader alone are dropped, which is told; the verdict rests on waits and run delay."""
    ran = diagnose(engine(Plant(compute_s=0.5, storage_s=3.0)), *SIZE)
    diagnosis = found(ran.document)
    assert diagnosis.primary == "input_bound"
    assert ran.document.method["dropped"] == [
        "replay",
        "replay_running",
        "load",
        "evaluation_repeat",
    ]
    assert ran.document.method["arms"] == ["real"]
    assert {diagnosis.unavailable[n] for n in ("replay", "loader_samples_per_sec")} == {"no_time"}
    assert not diagnosis.differential_s and diagnosis.compute_samples_per_sec is None
    assert "what input costs (real" not in ran.out and "no time" in ran.out
    assert ran.document.method["interval"] == "95 %, Student's t over blocks of one process"


def test_json_to_stdout(diagnose: Command) -> None:
    """With `--json -` stdout is the Document that was stored, and the answer goes to stderr."""
    ran = diagnose(engine(SLOW), *SIZE, "--json", "-")
    assert documents.loads(ran.out) == ran.document
    assert ran.document.kind == "diagnose"
    assert ran.document.command == "perfkit diagnose --num-samples 1600 --json -"
    assert "Data loading costs 71 % of the epoch" in ran.err
    ran = diagnose(engine(SLOW), *SIZE, "--json", "out.json")
    assert documents.read(Path("out.json")) == ran.document
    assert ran.out.startswith("Data loading costs")


@pytest.mark.parametrize("primary", ["input_bound", "contended", "compute_bound", "balanced"])
def test_twice_the_same(diagnose: Command, primary: str) -> None:
    """Blocks that vary by 1 % do not turn a verdict."""
    for seed in range(3):
        ran = diagnose(engine(PLANTS[primary], noise=shaken(seed)), *SIZE)
        assert found(ran.document).primary == primary


def test_a_process_that_fails(diagnose: Command) -> None:
    """Exit code 1, what happened, and no diagnosis."""
    ran = diagnose(engine(SLOW, fails={(FP32, 1): "killed"}), *SIZE)
    assert ran.code == EXIT_FAILED
    assert "planted killed" in ran.out
    assert ran.document.rows[0].status == "killed" and ran.document.diagnosis is None
    assert ran.document.unavailable == {"diagnosis": "failed"}


def test_workers_that_the_cores_cap(diagnose: Command) -> None:
    """Decoding takes eight times what a step does, and two cores have room for one."""
    ran = diagnose(engine(Plant(decode_s=0.24)), *SIZE)
    assert (found(ran.document).primary, found(ran.document).workers_needed) == ("input_bound", 1)
    said = (
        "no number keeps up with the training: the cores have room for 1 beside it; there is 1 now"
    )
    assert said in " ".join(ran.out.split()) and "would keep up" not in ran.out


def test_an_interrupt_and_going_on(diagnose: Command) -> None:
    """Ctrl-C leaves a study that is gone on with; that ends as if it had not been."""
    ran = diagnose(engine(SLOW, interrupt_in=1), *SIZE)
    folder = StudyFolder.find("latest").path
    assert ran.code == EXIT_INTERRUPTED
    assert not ran.document.complete and ran.document.diagnosis is None
    assert f"go on with: perfkit diagnose --resume {folder}" in ran.err
    ran = diagnose(engine(SLOW), "--resume", "latest")
    assert ran.code == EXIT_OK
    assert ran.document.complete and found(ran.document).primary == "input_bound"
    assert ran.document.command == "perfkit diagnose --num-samples 1600"
