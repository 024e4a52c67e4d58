"""benchmarks/planted.py: its small form, how jobs are calibrated, kept, judged and counted; stored runs."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import _plants
import planted
import pytest
from _plants import EXPECTED, Calibration, Expected, Run
from _plants_judged import against_ablation, judged, matrix, outcome, removable_share, targets
from _plants_kept import SUFFIX, keep, path_of, read, read_all
from benchmark_process import small, small_here
from fake_engine import block
from plugins.workloads.planted import BATCH, JOBS, TinyOperators

from perfkit.config import RunConfig
from perfkit.diagnosis.judge import Judgement
from perfkit.document import Verdict
from perfkit.engine.results import GenerationResult, ProcessResult
from perfkit.errors import DamagedFile, PerfkitError, UsageError
from perfkit.stats import Interval

STORED = Path(__file__).parents[1] / "planted"
"""Runs of every job on a quiet machine; `python benchmarks/planted.py --store tests/planted` makes them."""
FILES = sorted(STORED.glob(f"*{SUFFIX}"))
CONFIG = RunConfig(arch="x", batch_size=10, num_samples=1000)


def process(*steps_s: float, start_s: float = 0.0) -> ProcessResult:
    """A process whose palindromes have these steps, and whose epochs start with so many seconds."""
    edges = {"epoch_start": 4 * sum(steps_s) / len(steps_s) + start_s, "pass_steps": 4}
    blocks = tuple(block(n, n, step_s) for n, step_s in enumerate(steps_s))
    return ProcessResult(key="x", status="ok", blocks=blocks, edges=edges | {"periodic": {}})


def a_run(name: str, *steps_s: float) -> Run:
    """A run of a job, with exact steps."""
    return Run(
        job=name,
        row=_plants.row(name, CONFIG, 8),
        environment={"cores_usable": 2, "hostname": "somebody's"},
        result=GenerationResult(
            number=1, group=0, palindromes=2, side_by_side=True, processes=(process(*steps_s),),
            cost_s=1.0, palindrome_s=0.1,
        ),
        true_share=Interval(0.25, 0.2, 0.3),
        seconds=30.0,
        created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def said(kind: str, stage: str | None = None, flags: tuple[str, ...] = ()) -> Judgement:
    """A judgement of this kind, with 2 s of an epoch removable."""
    verdict = Verdict(
        kind=kind, severity="high", share=Interval(0.4), seconds_per_epoch=4.0, stage=stage, flags=flags,
        removable_s=Interval(2.0, 1.0, 3.0),
    )  # fmt: skip
    return Judgement(primary=kind, verdicts=(verdict,))


def test_small_form_goes_on_from_its_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A job and its ablation are measured; a second call judges what is kept and measures nothing."""
    answer = small(tmp_path, "planted")
    (row,) = answer["rows"]
    assert (row["job"], row["planted"]) == ("slow_storage", "input_bound/storage")
    assert row["outcome"] in ("right", "abstained")
    # how much depends on the pace of the machine, which a few short blocks do not average out
    assert 0 < row["true_share"]["value"] < 1
    assert row["layers"] >= 1
    kept = path_of(tmp_path / "out" / "runs", "slow_storage")
    before = kept.stat().st_mtime_ns
    again, _ = small_here(monkeypatch, capsys, tmp_path, planted, "--store", "stored")
    assert again["rows"] == answer["rows"]
    assert kept.stat().st_mtime_ns == before
    assert path_of(tmp_path / "stored", "slow_storage").read_bytes() == kept.read_bytes()


def test_layers_follow_from_two_steps() -> None:
    """8 layers in 6 ms and 40 in 22 ms are 2 ms and 0.5 ms a layer: 36 of them make 20 ms."""
    found = Calibration.between((8, 0.006), (40, 0.022))
    assert found.fixed_s == pytest.approx(0.002)
    assert found.layer_s == pytest.approx(0.0005)
    assert [found.layers(step_s) for step_s in (0.02, 0.01, 0.0)] == [36, 16, 1]


def test_layers_that_cost_nothing_are_refused() -> None:
    """On a machine that is not quiet more layers may seem to take no longer."""
    with pytest.raises(PerfkitError, match="40 layers took no longer than 8"):
        Calibration.between((8, 0.006), (40, 0.006))


def test_every_job_has_an_expectation_and_an_ablation() -> None:
    """What a job is without its plant costs nothing; only computing and sizes stay."""
    assert JOBS.keys() - {"plain"} == EXPECTED.keys()
    plain = JOBS["plain"]
    for name, job in JOBS.items():
        off = _plants.job(f"{name}_off")
        same = dict(step_s=plain.step_s, sleeps=False, settings=plain.settings, own=plain.own)
        assert replace(off, **same) == plain
        assert (off.step_s, off.sleeps) == (job.step_s, job.sleeps)
        assert off.settings.keys() == job.settings.keys() and off.own.keys() == job.own.keys()
    assert _plants.job("respawned_workers_off").settings["persistent_workers"] is True


def test_ratios_of_too_few_workers_are_those_of_their_names() -> None:
    """A batch's sleep ÷ a step: 1.5, 2.5, 3.5; as many workers, rounded up, keep up."""
    for name, expected in EXPECTED.items():
        if expected.workers is not None:
            batch_s = JOBS[name].sample_sleep_s * BATCH
            ratio = batch_s / JOBS[name].step_s
            assert name.endswith(f"{ratio:.1f}".replace(".", "_"))
            assert math.ceil(ratio) == expected.workers


def test_tiny_operators_stay_finite() -> None:
    """A thousand additions add one number, and a thousand gradients are that of one."""
    import torch

    tiny = TinyOperators(1000)
    outputs = tiny(torch.ones(2, 3))
    outputs.mean().backward()
    assert tiny.shift.grad is not None
    assert tiny.shift.grad.item() == pytest.approx(1.0)
    with torch.no_grad():
        tiny.shift.fill_(0.5)
        assert tiny(torch.ones(1, 1)).item() == pytest.approx(1.5, rel=1e-3)


def test_a_plan_is_that_of_the_command_with_the_ablation_in_it() -> None:
    """The same arms and palindromes; a job too short has no time for more than the real arm."""
    calibration = Calibration(fixed_s=0.0, layer_s=0.001)
    planned = _plants.rows("slow_storage", CONFIG, calibration)
    plan = _plants.plan(planned)
    assert [row.key for row in plan.rows] == ["slow_storage", "slow_storage_off"]
    assert [row.config.workload["num_blocks"] for row in plan.rows] == [12, 12]
    assert (plan.arms, plan.palindromes) == (("real", "replay", "replay_running"), 6)
    short = _plants.plan(_plants.rows("too_short", CONFIG, calibration))
    assert len(short.rows) == 1
    assert short.most_s == _plants.SHORT_S


def test_foreign_load_lives_as_long_as_it_is_asked_to() -> None:
    """One process for each core but one, at least one; none where the job is another."""
    with _plants.foreign_load(2, wanted=True) as pids:
        assert len(pids) == 1
        os.kill(pids[0], 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    with _plants.foreign_load(2, wanted=False) as pids:
        assert pids == []


def test_share_of_a_plant_is_one_less_the_ratio_of_epochs() -> None:
    """Steps of 4 ms that are 3 ms without the plant: a quarter, in every palindrome but for the noise."""
    found = _plants.share_of_plant((process(0.004, 0.004), CONFIG), (process(0.003, 0.003), CONFIG))
    assert found.value == pytest.approx(0.25)
    assert (found.low, found.high) == (pytest.approx(0.25), pytest.approx(0.25))
    start = _plants.share_of_plant((process(0.01, start_s=1.0), CONFIG), (process(0.01), CONFIG))
    assert start.value == pytest.approx(0.5)
    assert start.low is None
    noisy = _plants.share_of_plant((process(0.004, 0.005), CONFIG), (process(0.003, 0.003), CONFIG))
    assert noisy.low is not None and noisy.high is not None
    assert noisy.low < noisy.value < noisy.high


@pytest.mark.parametrize(
    ("found", "expected", "is_"),
    [
        (said("input_bound", "storage"), EXPECTED["slow_storage"], "right"),
        (said("input_bound", "decode"), EXPECTED["slow_storage"], "wrong"),
        (said("contended"), EXPECTED["slow_storage"], "wrong"),
        (said("input_bound", "storage"), EXPECTED["too_few_workers_2_5"], "wrong"),
        (
            said("input_bound", "storage", ("too_few_workers",)),
            EXPECTED["too_few_workers_2_5"],
            "right",
        ),
        (Judgement(primary="inconclusive"), EXPECTED["slow_storage"], "abstained"),
        (Judgement(primary="inconclusive"), EXPECTED["foreign_load"], "right"),
        (Judgement(primary="balanced"), EXPECTED["balanced"], "right"),
        (Judgement(primary="balanced"), EXPECTED["slow_decode"], "wrong"),
    ],
)
def test_an_outcome_is_right_by_kind_stage_and_flag(
    found: Judgement, expected: Expected, is_: str
) -> None:
    """An abstention is not wrong, unless it is what should be said: then it is right."""
    assert outcome(found, expected) == is_


def test_removable_share_is_of_a_verdict_that_is_what_was_planted() -> None:
    """2 s of 10 are a fifth; of another kind's verdict nothing is held against the ablation."""
    expected = EXPECTED["slow_storage"]
    assert removable_share(said("input_bound"), expected, 10.0) == Interval(0.2, 0.1, 0.3)
    assert removable_share(said("contended"), expected, 10.0) is None
    assert removable_share(Judgement(primary="inconclusive"), expected, 10.0) is None


def test_an_interval_holds_the_truth_or_does_not() -> None:
    """The error is signed; without bounds nothing is covered, without a truth nothing is known."""
    share = Interval(0.20, 0.18, 0.22)
    near = against_ablation(share, Interval(0.215))
    assert (near["error"], near["covers"]) == (pytest.approx(-0.015), True)
    assert against_ablation(share, Interval(0.25))["covers"] is False
    assert against_ablation(Interval(0.2), Interval(0.2))["covers"] is None
    assert against_ablation(share, None)["error"] is None


def a_row(job: str, **values: Any) -> dict[str, Any]:
    expected = EXPECTED[job]
    row = {"job": job, "planted": expected.kinds[0], "said": expected.kinds[0], "outcome": "right"}
    told = {"error": 0.01, "covers": True, "workers_needed": expected.workers}
    return {**row, **told, "workers_expected": expected.workers, **values}


def test_matrix_counts_planted_by_said() -> None:
    """Planted kinds are rows; what was said besides is a column at the end."""
    rows = [a_row("slow_storage"), a_row("slow_decode"), a_row("fighting", said="inconclusive")]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in matrix(rows).split("\n")]
    assert lines[0] == ["planted ↓ said →", "input_bound", "inconclusive"]
    assert lines[2:4] == [["input_bound", "2", ""], ["contended", "", "1"]]


def test_targets_are_those_of_the_whole() -> None:
    """One abstention is allowed, a wrong verdict is not; a part of the jobs judges nothing."""
    rows = [a_row(job) for job in EXPECTED]
    assert [target.met for target in targets(rows)] == [True] * 4
    assert [target.met for target in targets(rows[1:])] == [None] * 4
    abstained = [{**rows[0], "outcome": "abstained"}, *rows[1:]]
    assert targets(abstained)[0].met is True
    wrong = [{**rows[0], "outcome": "wrong", "error": 0.09, "covers": False}, *rows[1:]]
    assert [target.met for target in targets(wrong)] == [False, False, True, True]
    miscounted = [{**row, "workers_needed": 1, "covers": False, "error": 0.04} for row in rows]
    assert [target.met for target in targets(miscounted)] == [True, False, False, False]


def test_jobs_are_chosen_by_name_kind_or_stage() -> None:
    """Every one once, in their own order."""
    assert planted.chosen(["periodic_bound", "slow_decode"]) == (
        "slow_decode", "slow_metrics", "slow_evaluation",
    )  # fmt: skip
    assert planted.chosen(["input_bound/collate"]) == ("heavy_collate",)
    with pytest.raises(UsageError, match="--only slow_dekode: there is no such job"):
        planted.chosen(["slow_dekode"])


def test_a_kept_run_tells_nothing_of_whose_machine_it_was(tmp_path: Path) -> None:
    """It comes back as it was, but for digits, paths and names; equal runs are equal files."""
    run = a_run("slow_storage", 0.0041234567, 0.004)
    keep(run, tmp_path)
    path = path_of(tmp_path, "slow_storage")
    found = read(path)
    assert found.row.config.arch == "planted.py:slow_storage"
    assert "hostname" not in found.environment
    assert found.environment["cores_usable"] == 2
    assert found.result.processes[0].blocks[0].step_times_s[0] == pytest.approx(
        0.00412346, abs=1e-9
    )
    assert (found.job, found.true_share) == (run.job, run.true_share)
    written = path.read_bytes()
    keep(found, tmp_path)
    assert path.read_bytes() == written
    assert read_all(tmp_path) == {"slow_storage": found}
    assert judged(found)["blocks"] == 2


def test_a_torn_run_is_told_with_its_path(tmp_path: Path) -> None:
    """Removing it has the job measured again."""
    keep(a_run("slow_storage", 0.004), tmp_path)
    path = path_of(tmp_path, "slow_storage")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedFile, match="slow_storage"):
        read(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(SUFFIX))
def test_a_stored_run_is_judged_right(path: Path) -> None:
    """No innocent cause is blamed, whatever the judge has become since."""
    row = judged(read(path))
    assert row["outcome"] != "wrong", (row["planted"], row["said"], row["flags"])
    assert row["workers_needed"] == row["workers_expected"] or row["workers_expected"] is None
    assert path.stat().st_size <= 60_000


def test_all_stored_runs_but_one_are_named() -> None:
    """Of the runs that are there one may be left open."""
    rows = [judged(run) for run in read_all(STORED).values()]
    assert rows
    assert sum(row["outcome"] == "right" for row in rows) >= max(1, len(rows) - 1)
