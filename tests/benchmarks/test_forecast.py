"""benchmarks/forecast.py: its small form, and how forecasts are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import forecast
import pytest
from benchmark_process import small_here
from fake_engine import FakeEngine


def row(errors: list[float], covered: bool | None) -> dict[str, Any]:
    """What the targets read of a row."""
    return {"errors": errors, "covered": covered}


def test_small_form_keeps_its_documents(
    tmp_path: Path,
    benches: Callable[[Mapping[str, float]], list[FakeEngine]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The epoch of ten steps beside its forecast; a bench that is there is not run again."""
    engines = benches({"baseline/fp32": 0.010})
    answer, _ = small_here(monkeypatch, capsys, tmp_path, forecast)
    (setting,) = answer["rows"]
    assert setting["setting"] == "baseline/fp32"
    (predicted,), (real,) = setting["generation_forecast_s"], setting["generation_real_s"]
    assert real == pytest.approx(10 * 0.010)
    assert setting["errors"] == [predicted / real - 1]
    (engine,) = engines
    (plan,) = engine.plans
    assert (plan.steps, plan.full_epoch) == (5, True)
    _, said = small_here(monkeypatch, capsys, tmp_path, forecast)
    assert "bench-small.json is there already" in said
    assert len(engines) == 1


def test_six_settings_with_three_epochs_are_judged() -> None:
    """Median errors and coverage are held against their bars."""
    rows = [row([0.01, -0.01, 0.03], True) for _ in range(5)] + [row([0.01, 0.2, 0.01], False)]
    assert [target.met for target in forecast.targets(rows)] == [True, True, True]
    rows = [row([-0.06, -0.06, -0.06], False) for _ in range(6)]
    assert [target.met for target in forecast.targets(rows)] == [False, False, False]


def test_too_few_settings_are_not_judged() -> None:
    """Five settings say nothing, however good they are."""
    rows = [row([0.0, 0.0, 0.0], True) for _ in range(5)]
    assert [target.met for target in forecast.targets(rows)] == [None, None, None]
