"""benchmarks/_common.py: the watch, the order of turns, the answer's two files."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections import Counter
from dataclasses import replace
from pathlib import Path

import _common
import pytest

from perfkit.stats import Interval
from perfkit.telemetry.foreign import HostSnapshot
from perfkit.telemetry.proc import CpuTimes

QUIET = HostSnapshot(t_ns=0, booted_s=0, cpus=(0,), cpu=CpuTimes(busy_s=0, total_s=0), processes={})


class Played:
    """A gauge that gives snapshots made before."""

    def __init__(self, *snapshots: HostSnapshot) -> None:
        self._left = list(snapshots)

    def snapshot(self) -> HostSnapshot:
        return self._left.pop(0)


def after(seconds: float, busy_s: float) -> HostSnapshot:
    """The snapshot of one core so much later, somebody else's load on it meanwhile."""
    cpu = CpuTimes(busy_s=busy_s, total_s=seconds)
    return replace(QUIET, t_ns=int(seconds * 1e9), cpu=cpu)


def test_foreign_load_is_said_loudly() -> None:
    """A stretch beside a busy core is counted and warned of; a quiet one is not."""
    watch = _common.Watch(Played(QUIET, after(1, 0.9), after(2, 0.9)))  # type: ignore[arg-type]
    assert watch.mark() is True
    assert watch.mark() is False
    (said,) = watch.warnings()
    assert said.startswith("THE MACHINE WAS NOT QUIET: 1 of 2 stretches")


def test_quiet_machine_has_no_warning() -> None:
    """Nothing is said of a machine that had nothing else to do."""
    watch = _common.Watch(Played(QUIET, after(1, 0.0)))  # type: ignore[arg-type]
    watch.mark()
    assert watch.warnings() == []


def test_a_gauge_that_cannot_tell_says_so() -> None:
    """Without counters the answer is not taken for a quiet machine."""
    blind = replace(QUIET, cpu=None)
    watch = _common.Watch(Played(blind, replace(blind, t_ns=10**9)))  # type: ignore[arg-type]
    watch.mark()
    (said,) = watch.warnings()
    assert "cannot be told" in said


def test_rare_load_is_said_quietly() -> None:
    """One block in a hundred does not spoil the figures."""
    assert "NOT QUIET" not in _common.foreign_load(1, 100, "blocks")
    assert "NOT QUIET" in _common.foreign_load(20, 100, "blocks")


def test_turns_are_even() -> None:
    """Over six rounds each of three stands in each place twice."""
    orders = [list(_common.rotated("abc", number)) for number in range(6)]
    for place in range(3):
        assert Counter(order[place] for order in orders) == {"a": 2, "b": 2, "c": 2}


@pytest.mark.parametrize("is_small", [False, True])
def test_answer_is_written_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_small: bool
) -> None:
    """JSON holds raw values, Markdown escapes text; a small form's targets are not judged."""
    answer = _common.Answer(
        name="some",
        title="Some | thing",
        rows=[{"name": "a|b", "ratio": Interval(1.0, 0.9, 1.1)}],
        columns=(("Name", lambda r: r["name"]), ("Ratio", lambda r: _common.ratio(r["ratio"]))),
        targets=(_common.Target(name="t", wanted="w", measured="m", met=False),),
        warnings=("loud",),
    )
    options = Namespace(out=tmp_path / "new", small=is_small, began=time.monotonic())
    _common.publish(answer, options, ["--out", "a b"], {"cores_usable": 2})
    stored = json.loads((tmp_path / "new/some.json").read_text())
    assert stored["rows"] == [{"name": "a|b", "ratio": {"value": 1.0, "low": 0.9, "high": 1.1}}]
    assert stored["command"] == "python benchmarks/some.py --out 'a b'"
    assert stored["targets"][0]["met"] is (None if is_small else False)
    markdown = (tmp_path / "new/some.md").read_text()
    assert "a&#124;b" in markdown
    assert "**Warning: loud**" in markdown
    printed = capsys.readouterr()
    assert ("MISSED: t: m" in printed.out) is not is_small
    assert "WARNING: loud" in printed.err
