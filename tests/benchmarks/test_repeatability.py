"""benchmarks/repeatability.py: its small form, and what it makes of generations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import repeatability
from benchmark_process import small_here


def line(number: int, epochs: dict[str, float], steps: tuple[float, ...] = (1.0, 1.0)) -> Any:
    """A generation with these epoch times."""
    rows = {
        key: {"epoch_s": epoch, "steps_s": [epoch * s for s in steps], "disturbed": 0}
        for key, epoch in epochs.items()
    }
    return {"number": number, "cost_s": 10.0, "rows": rows}


@pytest.mark.usefixtures("machine")
def test_small_form_goes_on_from_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A generation is a line, and a second run reads it and measures nothing again."""
    answer, _ = small_here(monkeypatch, capsys, tmp_path, repeatability)
    lines = tmp_path / "out" / "generations.jsonl"
    kept = lines.read_text()
    (generation,) = [json.loads(text) for text in kept.splitlines()]
    assert set(generation["rows"]) == {"a1", "a2"}
    assert all(row["epoch_s"] > 0 and row["steps_s"] for row in generation["rows"].values())
    assert answer["details"]["generations"] == 1
    _, said = small_here(monkeypatch, capsys, tmp_path, repeatability)
    assert "going on after 1 generations" in said
    assert lines.read_text() == kept


def test_pairs_are_judged_try_by_try() -> None:
    """Five generations are a try; one pair that differs in all of them is called, the other is not."""
    wobble = [1.0, 1.004, 0.996, 1.002, 0.998]
    lines = [
        line(n, {"a1": 1.0, "a2": 1.1 * w, "b1": 1.0, "b2": w})
        for n, w in enumerate(wobble * 2 + [1.0], start=1)
    ]
    rows = repeatability.judged(lines)
    assert [(row["try"], row["outcome"]) for row in rows] == [
        (1, "slower"), (1, "same"), (2, "slower"), (2, "same"),
    ]  # fmt: skip


def test_spread_between_processes_leaves_out_what_blocks_explain() -> None:
    """Processes whose means differ no more than their blocks' noise allows add no spread."""
    equal = [line(1, dict.fromkeys(("a1", "a2", "b1", "b2"), 1.0), (1.0, 1.1))]
    found = repeatability.spreads(equal)
    assert found["between_processes"] == 0
    assert found["within_process"] > 0.05
    apart = [line(1, {"a1": 1.0, "a2": 1.2, "b1": 1.0, "b2": 1.2})]
    found = repeatability.spreads(apart)
    assert found["within_process"] == 0
    assert found["between_processes"] > 0.1


def test_width_is_told_for_as_many_generations_as_there_are() -> None:
    """Four generations of two processes cost half of what four of four processes did."""
    lines = [line(n, {"a1": 1.0, "a2": 1.0, "b1": 1.0, "b2": 1.0}) for n in range(4)]
    (width,) = repeatability.widths(lines)
    assert (width["generations"], width["seconds"], width["half_width"]) == (4, 20.0, 0.0)
