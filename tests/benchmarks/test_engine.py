"""benchmarks/_engine.py: what is kept of generations, and what a results folder may be added to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import _engine
import pytest
from fake_engine import FakeEngine

from perfkit.config import RunConfig
from perfkit.engine.plan import RowPlan
from perfkit.errors import PerfkitError, UsageError

CONFIG = RunConfig(arch="baseline", cache_dir="/home/somebody/.cache")
ROWS = tuple(RowPlan(key=k, arch="baseline", variant="fp32", config=CONFIG) for k in ("a", "b"))
MACHINE = {"cpu_model": "some CPU", "cores_usable": 2}


def test_folder_of_the_same_setup_goes_on(tmp_path: Path) -> None:
    """The same rows on the same machine are no error, wherever the data is cached; no path is kept."""
    _engine.check_setup(ROWS, tmp_path, MACHINE, small=False)
    moved = [replace(row, config=replace(CONFIG, cache_dir="/elsewhere")) for row in ROWS]
    _engine.check_setup(moved, tmp_path, MACHINE, small=False)
    assert "somebody" not in (tmp_path / "setup.json").read_text()


@pytest.mark.parametrize(
    ("rows", "machine", "small"),
    [
        (ROWS[:1], MACHINE, False),
        (ROWS, {**MACHINE, "cpu_model": "another"}, False),
        (ROWS, MACHINE, True),
    ],
)
def test_other_setups_do_not_mix(
    tmp_path: Path, rows: tuple[RowPlan, ...], machine: dict[str, object], small: bool
) -> None:
    """Other rows, another machine, another form: refused, with what to do."""
    _engine.check_setup(ROWS, tmp_path, MACHINE, small=False)
    with pytest.raises(UsageError, match="another setup or machine"):
        _engine.check_setup(rows, tmp_path, machine, small=small)


def test_tries_are_whole() -> None:
    """Twelve generations are two tries of five."""
    lines = [{"number": n} for n in range(12)]
    assert [[line["number"] for line in each] for each in _engine.tries(lines)] == [
        [0, 1, 2, 3, 4], [5, 6, 7, 8, 9],
    ]  # fmt: skip


def test_line_keeps_what_the_analysis_needs() -> None:
    """Epochs by row with evaluation in them, and the step of every block; logs are reference ÷ row."""
    engine = FakeEngine({"a": 0.010, "b": 0.011}, evaluation_s=0.5)
    line = _engine.line_of(engine.run(_engine.plan(ROWS, 1)), ROWS)
    steps = CONFIG.steps_per_epoch
    assert line["rows"]["a"]["epoch_s"] == pytest.approx(0.010 * steps + 0.5)
    assert line["rows"]["b"]["steps_s"] == pytest.approx([0.011] * 2 * _engine.PALINDROMES)
    (log,) = _engine.log_ratios([line], "b", "a")
    assert log < 0, "b is slower than a"


def test_failed_process_ends_the_benchmark() -> None:
    """A process that failed is named with its status; nothing is made of what is left."""
    engine = FakeEngine({"a": 0.01, "b": 0.01}, fails={("b", 1): "oom"})
    with pytest.raises(PerfkitError, match="b failed in generation 1: oom: planted oom"):
        _engine.line_of(engine.run(_engine.plan(ROWS, 1)), ROWS)
