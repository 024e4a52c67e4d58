"""benchmarks/power.py: its small form, its planted slowdown, and how tries are counted."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import _engine
import power
import pytest
from benchmark_process import small_here
from fake_engine import FakeEngine, FakeExecutor

from perfkit import variants
from perfkit.runfolder import StudyFolder
from perfkit.stats import Interval


@pytest.mark.usefixtures("machine")
def test_small_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The spin is calibrated to a tenth of an epoch, kept, and timed again from outside.

    An epoch of five steps of 10 ms takes 50 ms; a row that is 10 % slower has a speed-up of 1/1.1.
    """
    monkeypatch.setenv("PERFKIT_PATH", "")
    engine = FakeEngine({"baseline/fp32": 0.010, "baseline/fp32+busy=1000": 0.011})

    def executor(study: StudyFolder, *, timeout_s: float, emit: Any) -> FakeExecutor:
        return FakeExecutor(engine, study)

    monkeypatch.setattr(_engine, "Executor", executor)
    monkeypatch.setattr(power, "make_data", lambda config: None)
    answer, _ = small_here(monkeypatch, capsys, tmp_path, power)
    assert json.loads((tmp_path / "out" / "calibration.json").read_text())["busy_us"] == [1000]
    assert answer["details"]["busy_us"] == [1000]
    (spun_s,) = answer["details"]["spin_s"]
    assert spun_s >= 1e-3
    (row,) = answer["rows"]
    assert row["planted"] == 0.1
    assert row["true_speedup"] == pytest.approx(1 / (1 + spun_s / 0.010))
    assert [[row.key for row in plan.rows] for plan in engine.plans] == [
        ["baseline/fp32"], ["baseline/fp32", "baseline/fp32+busy=1000"],
    ]  # fmt: skip
    (generation,) = map(json.loads, (tmp_path / "out/generations.jsonl").read_text().splitlines())
    assert generation["rows"]["baseline/fp32+busy=1000"]["steps_s"] == pytest.approx([0.011] * 2)


def test_spins_make_an_epoch_longer_by_the_slowdown() -> None:
    """A tenth of a two-second epoch over 100 steps is 2 ms a step."""
    assert power.busy_us(2.0, 100, (0.02, 0.10)) == [400, 2000]


def test_busy_slows_the_steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variant wraps what steps call, leaves the model as it is, and reads its spin back."""
    monkeypatch.setenv("PERFKIT_PATH", "")
    _engine.use_plugins()
    busy = variants.get("busy")
    model = object()
    training: Any = SimpleNamespace(model=model, step_model=lambda x: x + 1)
    busy.apply(training, busy.normalise("0300"))
    assert training.model is model
    assert training.step_model(1) == 2
    assert busy.read_back(training) == {"busy_us": "300"}


def test_outcomes_are_counted_for_each_slowdown() -> None:
    """Tries are counted by outcome, and by whether their interval holds the truth."""
    tries = [
        {"planted": 0.1, "speedup": Interval(0.91, 0.89, 0.93), "outcome": "slower"},
        {"planted": 0.1, "speedup": Interval(0.95, 0.80, 1.10), "outcome": "inconclusive"},
        {"planted": 0.1, "speedup": Interval(0.97, 0.95, 0.99), "outcome": "slower"},
    ]
    (row,) = power.summary(tries, {0.1: 1 / 1.1})
    assert (row["tries"], row["slower"], row["inconclusive"], row["faster"]) == (3, 2, 1, 0)
    assert row["covered"] == 2
    assert row["speedup_median"] == 0.95


def test_tries_are_judged_against_the_reference_of_their_generations() -> None:
    """A row that is a tenth slower in every generation is found, a try of its own each five."""
    epochs = {"ref": 1.0, "slow": 1.1}
    lines = [
        {"rows": {key: {"epoch_s": e * (1 + 0.01 * n)} for key, e in epochs.items()}}
        for n in range(10)
    ]
    found = power.judged(lines, ["ref", "slow"], (0.1,))
    assert [row["outcome"] for row in found] == ["slower", "slower"]
