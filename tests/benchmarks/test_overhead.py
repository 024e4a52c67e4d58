"""benchmarks/overhead.py: its small form, and the loops it holds against each other."""

from __future__ import annotations

from pathlib import Path

import _loops
import overhead
import pytest
import torch
from benchmark_process import small_here

from perfkit.records import STEPS
from perfkit.training import arms


class LetGo(arms.Real):
    """Real batches whose workers end when they are closed.

    Those that persist would end when they are garbage-collected: in some later test, which waits for them.
    """

    def close(self) -> None:
        super().close()
        self._loader._iterator = None


def test_small_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both kinds of step and the other tools are rows, and the recorder's own count stands beside."""
    monkeypatch.setattr(overhead, "STRETCH_S", 0.02)
    monkeypatch.setattr(arms, "Real", LetGo)
    threads = torch.get_num_threads()
    try:
        answer, _ = small_here(monkeypatch, capsys, tmp_path, overhead)
    finally:
        torch.set_num_threads(threads)
    seen = {(row["tool"], row["kind"], row["length_s"]) for row in answer["rows"]}
    assert seen >= {
        (tool, kind, length_s)
        for tool, kind in (("perfkit", "paced"), ("perfkit", "work"))
        for length_s in (1e-3, 5e-3)
    }
    assert ("torch.profiler", "paced", 5e-3) in seen
    assert ("SimpleProfiler", "paced", 5e-3) in seen or any(
        "SimpleProfiler was left out" in remark for remark in answer["remarks"]
    )
    assert all(row["ratio"]["value"] > 0 and row["step_s"] > 0 for row in answer["rows"])
    assert answer["details"]["own"]["own_s"] > 0
    (script,) = (row for row in answer["rows"] if row["tool"] == "perfkit run")
    assert 0 < script["counted_s"] < script["own_s"] < script["step_s"]
    assert 0 < script["hot_s"] < script["step_s"]
    assert answer["details"]["start_up_s"]["value"] is not None
    assert len(answer["targets"]) == 5
    cold = answer["details"]["cold_calls"]
    assert len(cold) == 3
    assert all(took["cold_s"] > 0 and took["hot_s"] > 0 for took in cold.values())


def test_a_case_alone_has_its_own_targets_only() -> None:
    """What was not run is neither met nor missed."""
    row = {"tool": "perfkit run", "own_s": 30e-6, "hot_s": 15e-6, "step_s": 2e-3, "length_s": 2e-3}
    (target,) = overhead._targets([row], None, None)
    assert target.met is False
    assert target.measured == "30.0 µs of a step of 2.0 ms; 15.0 µs in a step without work"
    assert overhead._targets([], None, None) == []


def test_both_loops_run_the_same_steps() -> None:
    """The recorded loop runs as many steps as the bare one, and leaves a record of each."""
    calls = []
    _loops.bare_loop(lambda: calls.append("bare"))(3)
    with _loops.open_recorder(torch.device("cpu")) as (recorder, path):
        _loops.recorded_loop(lambda: calls.append("recorded"), recorder)(3)
        recorder.drain()
        assert len(list(STEPS.read(path, first=0, count=3))) == 3
    assert calls == ["bare"] * 3 + ["recorded"] * 3


def test_missing_lightning_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Lightning its profiler is left out with the reason."""

    def nothing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(_loops.importlib, "import_module", nothing)
    loop, why = _loops.lightning_loop(lambda: None)
    assert loop is None
    assert "lightning is not installed" in why
