"""benchmarks/power.py: its small form, its planted slowdown, and how tries are counted."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import power
import pytest
from _engine import use_plugins
from benchmark_process import small

from perfkit import variants
from perfkit.stats import Interval


def test_small_form(tmp_path: Path) -> None:
    """The spin is calibrated, kept, and timed again from outside."""
    answer = small(tmp_path, "power")
    spins = json.loads((tmp_path / "out" / "calibration.json").read_text())["busy_us"]
    assert answer["details"]["busy_us"] == spins
    (spun_s,) = answer["details"]["spin_s"]
    assert spun_s >= spins[0] * 1e-6
    (row,) = answer["rows"]
    assert row["planted"] == 0.1
    assert 0 < row["true_speedup"] < 1
    (generation,) = map(json.loads, (tmp_path / "out/generations.jsonl").read_text().splitlines())
    assert list(generation["rows"]) == ["baseline/fp32", f"baseline/fp32+busy={spins[0]}"]


def test_spins_make_an_epoch_longer_by_the_slowdown() -> None:
    """A tenth of a two-second epoch over 100 steps is 2 ms a step."""
    assert power.busy_us(2.0, 100, (0.02, 0.10)) == [400, 2000]


def test_busy_slows_the_steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variant wraps what steps call, leaves the model as it is, and reads its spin back."""
    monkeypatch.setenv("PERFKIT_PATH", "")
    use_plugins()
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
