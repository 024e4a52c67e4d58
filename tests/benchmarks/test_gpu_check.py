"""benchmarks/gpu_check.py: its path on a CPU, its parts, and how it keeps to its time."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import _bench
import _common
import gpu_check
import pytest
from bench_command import perform
from benchmark_process import small_here, start
from fake_engine import FakeEngine

from perfkit.engine.helpers import survey

STEP_S = {"fp32": 0.010, "bf16": 0.008, "bf16+channels_last": 0.005}


@pytest.fixture
def benches(monkeypatch: pytest.MonkeyPatch) -> list[FakeEngine]:
    """The engine of exact numbers behind each `perfkit bench` that is run; the machine is real."""
    surveyed = survey("cpu")
    monkeypatch.setattr(_common, "survey", lambda device: surveyed)
    run: list[FakeEngine] = []

    def bench(command: list[str], *, cwd: str, stdout: int, env: dict[str, str]) -> SimpleNamespace:
        assert command[:4] == [sys.executable, "-m", "perfkit", "bench"]
        run.append(FakeEngine({f"baseline/{name}": step_s for name, step_s in STEP_S.items()}))
        told = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told):
            patch.chdir(cwd)
            code = perform(patch, run[-1], *command[4:], environment=surveyed["environment"])
        return SimpleNamespace(returncode=code, stdout=told.getvalue().encode())

    monkeypatch.setattr(_bench.subprocess, "run", bench)
    return run


def test_small_form_goes_on_where_it_was(
    tmp_path: Path,
    benches: list[FakeEngine],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Rows are those of the benches, and what is there is not measured again."""
    arguments = ("--part", "variants", "--device", "cpu")
    answer, _ = small_here(monkeypatch, capsys, tmp_path, gpu_check, *arguments)
    assert [(row["key"], row["step_s"]) for row in answer["rows"]] == [
        (f"baseline/{name}", pytest.approx(step_s)) for name, step_s in STEP_S.items()
    ]
    assert answer["details"] == {"part": "variants", "finished": True}
    (engine,) = benches
    (plan,) = engine.plans
    assert plan.steps == 5
    assert [row.config.base_channels for row in plan.rows] == [16, 16, 16]
    _, said = small_here(monkeypatch, capsys, tmp_path, gpu_check, *arguments)
    assert "variants-bf16.json is there already" in said
    assert len(benches) == 1


def test_unknown_part_is_refused(tmp_path: Path) -> None:
    """The parts there are stand in the hint."""
    done = start(tmp_path, "gpu_check", "--part", "nothing", "--device", "cpu", check=False)
    assert done.returncode == 1
    assert "unknown part 'nothing'" in done.stderr
    assert "one of: variants" in done.stderr


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
