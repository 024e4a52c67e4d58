"""benchmarks/gpu_check.py: its path on a CPU, its parts, and how it keeps to its time."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import _common
import gpu_check
import pytest
from benchmark_process import small_here
from fake_engine import FakeEngine

STEP_S = {"fp32": 0.010, "bf16": 0.008, "bf16+channels_last": 0.005}


def test_small_form_goes_on_where_it_was(
    tmp_path: Path,
    benches: Callable[[Mapping[str, float]], list[FakeEngine]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rows are those of the benches, and what is there is not measured again."""
    engines = benches({f"baseline/{name}": step_s for name, step_s in STEP_S.items()})
    arguments = ("--part", "variants", "--device", "cpu")
    answer, _ = small_here(monkeypatch, capsys, tmp_path, gpu_check, *arguments)
    assert [(row["key"], row["step_s"]) for row in answer["rows"]] == [
        (f"baseline/{name}", pytest.approx(step_s)) for name, step_s in STEP_S.items()
    ]
    assert answer["details"] == {"part": "variants", "finished": True}
    (engine,) = engines
    (plan,) = engine.plans
    assert plan.steps == 5
    assert [row.config.workload["base_channels"] for row in plan.rows] == [16, 16, 16]
    _, said = small_here(monkeypatch, capsys, tmp_path, gpu_check, *arguments)
    assert "variants-bf16.json is there already" in said
    assert len(engines) == 1


@pytest.mark.usefixtures("machine")
def test_unknown_part_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts there are stand in the hint."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", "--part", "nothing", "--device", "cpu"])
    with pytest.raises(SystemExit) as left:
        _common.run(gpu_check.main)
    # a text is printed to stderr, and the exit code is 1 then
    assert "unknown part 'nothing'" in str(left.value.code)
    assert "one of: variants" in str(left.value.code)


def test_rows_of_a_precision() -> None:
    """The fp32 row is every bench's reference and is not asked for twice."""
    assert gpu_check.rows_of("fp32", compiled=True) == ["fp32+channels_last", "fp32+compile"]
    assert gpu_check.rows_of("amp", compiled=False) == ["amp", "amp+channels_last"]


def test_nothing_is_begun_that_does_not_fit(tmp_path: Path) -> None:
    """Late in a call a bench is left to the next one; a small form has no such limit."""
    late = time.monotonic() - gpu_check.LIMIT_S + 10
    options = argparse.Namespace(small=False, device="cuda", out=tmp_path, began=late)
    with pytest.raises(gpu_check.OutOfTime, match="size was not begun"):
        gpu_check.Call(options, {}).begin("size", 100)
    options.small = True
    gpu_check.Call(options, {}).begin("size", 100)
