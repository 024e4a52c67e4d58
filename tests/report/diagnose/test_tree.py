"""The epoch as a tree: what nests, what is left out, and which line decided."""

from __future__ import annotations

from dataclasses import replace

import pytest
from diagnosis_builders import around, verdict
from report_diagnoses import BALANCED, CONTENDED, DECODE, DIAGNOSES, PERIODIC, UNFINISHED

from perfkit.document import Document, Verdict
from perfkit.report.diagnose import figures
from perfkit.report.diagnose.tree import Branch, tree
from perfkit.stats import Interval


def with_verdict(shown: Document, found: Verdict) -> Document:
    assert shown.diagnosis is not None
    diagnosis = replace(shown.diagnosis, primary=found.kind, verdicts=(found,))
    return replace(shown, diagnosis=diagnosis)


def decided(shown: Document) -> list[str]:
    return [branch.name for branch in tree(shown) if branch.decided]


@pytest.mark.parametrize("shown", DIAGNOSES.values(), ids=DIAGNOSES)
def test_lines_add_up(shown: Document) -> None:
    """The epoch is the sum of what is below it, and its steps of what is below them."""
    branches = tree(shown)
    for depth in (0, 1):
        for place, branch in enumerate(branches):
            if branch.depth != depth or branch.seconds is None:
                continue
            below = []
            for one in branches[place + 1 :]:
                if one.depth <= depth:
                    break
                below += [one.seconds or 0.0] if one.depth == depth + 1 else []
            if below:
                assert sum(below) == pytest.approx(branch.seconds, rel=0.02)


def test_what_took_no_time_has_no_line_and_what_was_lost_has_a_dash() -> None:
    """A part of zero, or one that there cannot be, is left out; one that was not measured is not zero."""
    named = {branch.name: branch.seconds for branch in tree(DECODE)}
    assert not {"h2d", "sync", "communication"} & set(named)
    assert "contention" in named
    assert {b.name: b.seconds for b in tree(BALANCED)}["contention"] is None


def test_periodic_work_is_told_by_its_tasks() -> None:
    """Where the forecast's tasks are what was attributed, each has a line, the largest first."""
    below = [branch.name for branch in tree(PERIODIC) if branch.depth == 2]
    assert below[-2:] == ["metrics", "visualisation"]
    assert PERIODIC.diagnosis is not None
    other = replace(
        PERIODIC.diagnosis, breakdown_s=dict(PERIODIC.diagnosis.breakdown_s, periodic=9.0)
    )
    assert "metrics" not in [b.name for b in tree(replace(PERIODIC, diagnosis=other))]


def test_names_of_the_user_s_own_stay_as_they_are() -> None:
    """An underscore belongs to them; in a part of ours it stands for a blank."""
    (row, *_) = PERIODIC.rows
    parts = {**row.epoch_parts_s, "_log_all (_train.py:14)": row.epoch_parts_s["metrics"]}
    del parts["metrics"]
    shown = replace(PERIODIC, rows=(replace(row, epoch_parts_s=parts),))
    words = [branch.words for branch in tree(shown)]
    assert "_log_all (_train.py:14)" in words
    assert Branch(name="host_launch", seconds=1.0, depth=2).words == "host launch"


@pytest.mark.parametrize(
    ("kind", "stage", "line"),
    [
        ("input_bound", "storage", "waiting"),
        ("input_bound", "collate", "waiting"),
        ("input_bound", None, "waiting"),
        ("input_bound", "transfer", "transfer"),
        ("compute_bound", "bandwidth", "compute"),
        ("contended", "full", "contention"),
        ("periodic_bound", "evaluation", "eval"),
        ("periodic_bound", None, "eval"),
        ("startup_bound", "worker_start", "startup"),
        ("untracked", None, "other"),
        ("h2d_bound", None, None),
        ("of_my_own", None, None),
    ],
)
def test_the_mark_stands_at_the_line_that_decided(
    kind: str, stage: str | None, line: str | None
) -> None:
    """By the stage where that has a line, else by the kind; a kind that no line shows has no mark."""
    found = verdict(kind, "high", around(0.3, 0.1), 1.0, stage=stage)
    assert decided(with_verdict(DECODE, found)) == ([line] if line else [])


def test_no_verdict_is_no_mark() -> None:
    """Balanced decides nothing, and neither do lesser verdicts."""
    assert decided(BALANCED) == decided(DIAGNOSES["undecided"]) == []
    assert decided(CONTENDED) == ["contention"]


def test_nothing_attributed_is_no_tree() -> None:
    """No line is drawn of an epoch that is not known."""
    assert tree(UNFINISHED) == []
    assert UNFINISHED.diagnosis is not None
    only = with_verdict(UNFINISHED, verdict("of_my_own", "low", Interval(0.1), 1.0))
    assert tree(only) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [(1.5, "1.500"), (2e-4, "< 0.001"), (0.0, "0.000"), (-2e-4, "0.000"), (-0.3, "-0.300")],
)
def test_a_part_of_nothing_has_no_sign(value: float, said: str) -> None:
    """A residual below zero by rounding alone is none."""
    assert figures.fixed(value, 5.0, 1.0) == said
