"""`perfkit diagnose` with trials and `--verify`, from its flags down to the Document, on exact numbers."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from bench_command import Command
from evidences import Plant
from fake_engine import FakeEngine

from perfkit import documentfile as documents
from perfkit.document import Document, Remedy
from perfkit.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from perfkit.runfolder import StudyFolder

FP32 = "convnext/fp32"
MORE = "convnext/fp32+num_workers=4"
LAST = "convnext/fp32+channels_last"
SIZE = ("--num-samples", "1600")
SLOW = Plant(storage_s=0.1)
HEAVY = Plant(compute_s=0.06)


def engine(plant: Plant = SLOW, **told: object) -> FakeEngine:
    """One that has planted this in every training that it has no other for."""
    plants = {FP32: plant, **told.pop("plants", {})}  # type: ignore[dict-item]
    return FakeEngine(plants=plants, **told)  # type: ignore[arg-type]


def shaken(key: str, generation: int, number: int) -> float:
    """Blocks that vary by a few percent, each row in its own way."""
    return 1 + 0.02 * math.sin(len(key) * (7 * generation + number))


def remedy(document: Document, name: str) -> Remedy:
    """The one of that name."""
    assert document.diagnosis is not None
    return next(one for one in document.diagnosis.remedies if one.name == name)


def keys(document: Document) -> list[str]:
    return [row.key for row in document.rows]


def test_the_best_remedy_is_run(diagnose: Command) -> None:
    """One remedy: a bench of two rows, and what it gained beside what was predicted."""
    fake = engine(noise=shaken)
    ran = diagnose(fake, *SIZE, "--verify-top", "1")
    assert ran.code == EXIT_OK and ran.document.complete
    assert keys(ran.document) == [FP32, MORE]
    assert [plan.number for plan in fake.plans] == list(range(1, 1 + len(fake.plans)))
    benched = [plan for plan in fake.plans if plan.group >= 2]
    assert len(benched) >= 4 and all(plan.arms == ("real",) for plan in benched)
    assert {tuple(row.key for row in plan.rows) for plan in benched} == {(FP32, MORE)}
    told = remedy(ran.document, "num_workers")
    assert told.predicted_speedup is not None and told.measured_speedup is not None
    assert told.measured_speedup.value == pytest.approx(told.predicted_speedup.value, rel=0.02)
    assert ran.document.rows[1].speedup is not None
    assert ran.document.rows[1].speedup.outcome == "faster"
    assert ran.document.method["verified"]["generations"] == len(benched)
    assert "measured" in ran.out and "as predicted" in ran.out


def test_several_and_then_together(diagnose: Command) -> None:
    """The remedies that can be run, and those together that are predicted to save; each row once."""
    plant = Plant(storage_s=0.1, parts_s={"evaluation": 2.0, "metrics": 1.0})
    fake = engine(plant)
    ran = diagnose(fake, *SIZE, "--verify")
    run = {one.name for one in _remedies(ran.document) if one.measured_speedup is not None}
    assert run == {"num_workers", "metrics_every", "cache_decoded", "combination"}
    assert len(set(keys(ran.document))) == len(keys(ran.document)) == 5
    together = remedy(ran.document, "combination")
    assert together.predicted_speedup is not None and together.measured_speedup is not None
    assert together.variant is not None and "num_workers=4" in together.variant
    single = remedy(ran.document, "num_workers").predicted_speedup
    assert single is not None and together.predicted_speedup.value > single.value
    assert {plan.group for plan in fake.plans} == {0, 2, 3}
    assert re.search(r"combination: num_workers=4\+", ran.out)


def test_a_miss_is_kept_as_a_miss(diagnose: Command) -> None:
    """What was measured stands there, whatever the model said."""
    fake = engine(plants={MORE: Plant(storage_s=0.5)})
    ran = diagnose(fake, *SIZE, "--verify-top", "1")
    told = remedy(ran.document, "num_workers")
    assert told.measured_speedup is not None and told.measured_speedup.value < 1.0
    assert told.predicted_speedup is not None and told.predicted_speedup.value > 3.0
    assert "missed: less than predicted" in " ".join(ran.out.split())
    assert ran.code == EXIT_OK


def test_a_machine_that_changed_its_pace_is_no_miss(diagnose: Command) -> None:
    """Half as fast since the diagnosis: both epochs of the bench are twice as long, and their ratio stays."""

    def slower(key: str, generation: int, number: int) -> float:
        return shaken(key, generation, number) * (1 if generation == 1 else 2)

    ran = diagnose(engine(noise=slower), *SIZE, "--verify-top", "1")
    diagnosed, more = ran.document.rows
    verified = ran.document.method["verified"]
    told, came = verified["remedies"]["num_workers"], remedy(ran.document, "num_workers")
    assert diagnosed.epoch_time_s is not None and more.epoch_time_s is not None
    assert verified["now_s"] == pytest.approx(2 * diagnosed.epoch_time_s.value, rel=0.02)
    assert told["measured_epoch_s"] == more.epoch_time_s.value
    assert told["predicted_epoch_s"] == pytest.approx(told["measured_epoch_s"], rel=0.02)
    assert came.predicted_speedup is not None and came.measured_speedup is not None
    ratio = came.measured_speedup.value / came.predicted_speedup.value
    assert told["predicted_to_measured_ratio"] == pytest.approx(ratio)
    assert ratio == pytest.approx(1.0, rel=0.02)
    assert "as predicted" in ran.out and "missed" not in ran.out
    assert "num_workers=4: an epoch took" in " ".join(ran.out.split())


def test_a_remedy_that_fails(diagnose: Command) -> None:
    """Its row says so, nothing was measured of it, and the diagnosis stands; the exit code tells."""
    fake = engine(fails={(MORE, number): "killed" for number in range(2, 9)})
    ran = diagnose(fake, *SIZE, "--verify-top", "1")
    assert ran.code == EXIT_FAILED
    assert [row.status for row in ran.document.rows] == ["ok", "killed"]
    assert remedy(ran.document, "num_workers").measured_speedup is None
    assert "planted killed" in ran.out


def test_an_interrupt_while_verifying(diagnose: Command) -> None:
    """The diagnosis is the answer, with what was measured; going on ends as if it had not been."""
    ran = diagnose(engine(interrupt_in=3), *SIZE, "--verify-top", "1")
    assert ran.code == EXIT_INTERRUPTED and not ran.document.complete
    assert ran.document.diagnosis is not None
    assert ran.document.diagnosis.primary == "input_bound"
    first = remedy(ran.document, "num_workers").measured_speedup
    assert first is not None and first.low is None
    more = engine()
    again = diagnose(more, "--resume", "latest")
    assert again.code == EXIT_OK and again.document.complete
    assert more.plans[0].number == 3
    whole = diagnose(engine(), *SIZE, "--verify-top", "1")
    assert remedy(again.document, "num_workers") == remedy(whole.document, "num_workers")


def test_interrupted_before_anything_was_verified(diagnose: Command) -> None:
    """No row but the diagnosed one, no combination, no complaint."""
    ran = diagnose(engine(interrupt_in=2), *SIZE, "--verify")
    assert keys(ran.document) == [FP32]
    assert all(one.name != "combination" for one in _remedies(ran.document))
    assert not ran.document.warnings
    assert remedy(ran.document, "num_workers").measured_speedup is None


def test_nothing_to_verify(diagnose: Command) -> None:
    """Where no remedy can be run it is told; where nothing was concluded that says enough."""
    ran = diagnose(engine(Plant(storage_s=0.028)), *SIZE, "--verify")
    assert ran.document.diagnosis is not None and ran.document.diagnosis.primary == "balanced"
    runnable = [one for one in _remedies(ran.document) if one.variant is not None]
    assert (
        [note.code for note in ran.document.warnings] == [] if runnable else ["nothing_to_verify"]
    )
    ran = diagnose(engine(Plant(disturbed=True)), *SIZE, "--verify")
    assert "nothing_to_verify" not in {note.code for note in ran.document.warnings}


def test_too_little_time_to_verify(diagnose: Command) -> None:
    """One generation has no interval: what was measured is shown, and that more time is needed."""
    ran = diagnose(engine(), *SIZE, "--verify-top", "1", "--time-budget", "70")
    told = remedy(ran.document, "num_workers").measured_speedup
    assert told is not None and told.low is None
    assert "too_few_generations" in {note.code for note in ran.document.warnings}


def test_trials_where_there_is_time(diagnose: Command) -> None:
    """Layout is tried by replayed batches; compiling too, as there is much time; no row is shown of them."""
    fake = engine(HEAVY, plants={LAST: Plant(compute_s=0.05)})
    ran = diagnose(fake, *SIZE, "--time-budget", "200")
    _, plan = fake.plans
    assert (plan.number, plan.group, plan.arms, plan.palindromes) == (2, 1, ("replay",), 6)
    assert {row.key for row in plan.rows} == {FP32, LAST, "convnext/fp32+compile"}
    told = remedy(ran.document, "channels_last")
    assert told.basis == "trialled" and told.predicted_speedup is not None
    assert told.predicted_speedup.value == pytest.approx(1.2, rel=0.02)
    # compiled steps took as long, so that it is no remedy any more
    assert "compile" not in {one.name for one in _remedies(ran.document)}
    assert ran.document.method["trials"]["compile"]["value"] == pytest.approx(1.0)
    assert keys(ran.document) == [FP32]
    assert "tried briefly" in ran.out


def test_a_trial_that_fails(diagnose: Command) -> None:
    """It stays a bound, the other is tried, and the exit code is that of the diagnosis."""
    fake = engine(
        HEAVY, plants={LAST: Plant(compute_s=0.05)}, fails={("convnext/fp32+compile", 2): "oom"}
    )
    ran = diagnose(fake, *SIZE, "--time-budget", "200")
    assert ran.code == EXIT_OK
    assert remedy(ran.document, "compile").basis == "bound"
    assert remedy(ran.document, "channels_last").basis == "trialled"


def test_no_trials_in_a_minute_that_is_full(diagnose: Command) -> None:
    """Nor where waiting is what costs, however much time there is."""
    fake = engine(HEAVY)
    diagnose(fake, *SIZE)
    assert len(fake.plans) == 1
    fake = engine()
    diagnose(fake, *SIZE, "--time-budget", "300")
    assert len(fake.plans) == 1


def test_a_trial_feeds_what_several_save_together(diagnose: Command) -> None:
    """Steps of 60.5 ms become 50.5 by a trial, and half of 2 s of metrics goes: 8.05 s of an epoch 6.05."""
    quick = Plant(compute_s=0.05, parts_s={"metrics": 2.0})
    both = f"{LAST}+metrics_every=20"
    fake = engine(
        Plant(compute_s=0.06, parts_s={"metrics": 2.0}), plants={LAST: quick, both: quick}
    )
    ran = diagnose(fake, *SIZE, "--verify-top", "2", "--time-budget", "500")
    # they save as much, and metrics are what holds it back
    assert keys(ran.document) == [FP32, f"{FP32}+metrics_every=20", LAST, both]
    expected = {
        "channels_last": ("trialled", 8.05 / 7.05),
        "metrics_every": ("arithmetic", 8.05 / 7.05),
        "combination": ("trialled", 8.05 / 6.05),
    }
    for name, (basis, faster) in expected.items():
        told = remedy(ran.document, name)
        assert told.predicted_speedup is not None and told.measured_speedup is not None
        assert told.basis == basis
        assert told.predicted_speedup.value == pytest.approx(faster)
        assert told.measured_speedup.value == pytest.approx(faster)


def test_trials_choose_what_is_verified(diagnose: Command) -> None:
    """A trial that gained comes before bounds; gone on with, a study verifies the same rows."""
    told = {"plants": {LAST: Plant(compute_s=0.05)}}
    flags = (*SIZE, "--verify-top", "1", "--time-budget", "600")
    fake = engine(HEAVY, **told)
    ran = diagnose(fake, *flags)
    assert keys(ran.document) == [FP32, LAST]
    assert [plan.group for plan in fake.plans][:3] == [0, 1, 2]
    diagnose(engine(HEAVY, interrupt_in=3, **told), *flags)
    again = diagnose(engine(HEAVY, **told), "--resume", "latest")
    assert again.document.rows == ran.document.rows


def test_flags_that_shape_the_process(diagnose: Command) -> None:
    """Mixed precision, compiling and a variant are one training."""
    fake = engine()
    diagnose(
        fake, *SIZE, "--variant", "channels_last", "--amp", "--compile-mode", "max-autotune",
        "--time-budget", "60",
    )  # fmt: skip
    (key,) = {row.key for row in fake.plans[0].rows}
    assert key == "convnext/amp+channels_last+compile=max-autotune"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--verify-top", "0"), "--verify-top is 0: it should be at least 1"),
        (("--resume", "latest", "--verify"), "no others can be given"),
        (("--resume", "latest", "--amp"), "no others can be given"),
        (("--resume", "latest", "--arch", "baseline"), "no others can be given"),
        (("--variant", "bf16", "--amp"), "both precisions"),
        (("--variant", "compile", "--compile"), "names compile twice"),
        (("--batch-size", "many"), "should be a whole number, or max"),
    ],
)
def test_what_cannot_be_done(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    flags: tuple[str, ...],
    message: str,
) -> None:
    """It is told before anything is measured, and no study is left."""
    from bench_command import leave

    from perfkit.study import start

    monkeypatch.chdir(tmp_path)
    machine = {"device": "cpu", "environment": {"cores_usable": 2}, "settings": {}}
    monkeypatch.setattr(start, "survey", lambda device, archs=(), child=None: machine)
    assert leave(monkeypatch, *flags, command="diagnose") == EXIT_USAGE
    assert message in capsys.readouterr().err
    assert not (tmp_path / ".perfkit").exists()


def test_the_report_of_what_was_verified(diagnose: Command) -> None:
    """The stored Document comes back the same, and rows that failed no diagnosis are in it."""
    diagnose(engine(), *SIZE, "--verify-top", "1")
    stored = documents.read(StudyFolder.find("latest").document)
    assert documents.loads(documents.dumps(stored)) == stored


def _remedies(document: Document) -> tuple[Remedy, ...]:
    assert document.diagnosis is not None
    return document.diagnosis.remedies
