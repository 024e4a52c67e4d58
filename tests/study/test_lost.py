"""What is lost after the blocks is said, with its reason, and costs nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fake_engine import FakeEngine, row

from perfkit.document import Row
from perfkit.engine.plan import Examine, GenerationPlan
from perfkit.engine.results import ProcessResult
from perfkit.study.lost import lost_notes, reasons
from perfkit.study.rows import make_rows

ONLY = "x/fp32"


def process(lost: dict[str, str] | None = None, reason: str = "failed") -> ProcessResult:
    lost = lost or {}
    unavailable = {"peak_reserved_bytes": "not_supported", **dict.fromkeys(lost, reason)}
    return ProcessResult(key=ONLY, status="ok", lost=lost, unavailable=unavailable)


def measured(*parts_of_each: tuple[str, ...]) -> Row:
    """The row of as many generations, each of which lost some parts."""
    loses = {(ONLY, n): parts for n, parts in enumerate(parts_of_each, start=1)}
    engine = FakeEngine({ONLY: 0.1}, loses=loses, evaluation_s=0.5)
    results = [
        engine.run(
            GenerationPlan(number=n, group=0, rows=(row(ONLY),), examine={ONLY: Examine(seed=0)})
        )
        for n in range(1, len(parts_of_each) + 1)
    ]
    return make_rows([row(ONLY)], results, {})[0]


def test_a_part_that_none_of_them_has() -> None:
    """Named in words, with what happened and why the value is missing."""
    lost = [process({"evaluation": "ValueError: no data"})] * 2
    (note,) = lost_notes(lost)
    assert note.code == "part_lost"
    assert note.text == (
        "the evaluation could not be measured: ValueError: no data; so there is no forecast of an epoch"
    )
    found = reasons(lost)
    assert found["evaluation"] == found["epoch_time_s"] == found["speedup"] == "failed"
    assert found["peak_reserved_bytes"] == "not_supported"


def test_a_part_that_some_of_them_have() -> None:
    """It is not missing; the note says how often it was."""
    lost = [process(), process({"losses": "RuntimeError: other keys"}), process()]
    (note,) = lost_notes(lost)
    assert note.text == (
        "the losses could not be measured in 1 of 3 processes: RuntimeError: other keys"
    )
    assert "losses" not in reasons(lost)


def test_the_partial_batch_says_what_the_forecast_is_of() -> None:
    """An epoch that drops it."""
    (note,) = lost_notes([process({"partial_batch": "ValueError: one value"})])
    assert note.text.endswith(
        "ValueError: one value; the forecast is that of an epoch that drops it"
    )


def test_periodic_work_is_called_by_its_name() -> None:
    """Whatever a workload calls it."""
    (note,) = lost_notes([process({"plot of a stranger": "OSError: x"})])
    assert note.text.startswith("periodic work (plot of a stranger) could not be measured: OSError")


@pytest.mark.parametrize("reason", ["timeout", "no_memory", "killed"])
def test_the_reason_is_kept(reason: str) -> None:
    """What cost the turn is why each of its values is missing."""
    found = reasons([process({"examine": "late", "edges": "late"}, reason)])
    for name in ("losses", "flops_per_sample", "mfu", "gemm_ceiling_share", "peak_rss_bytes"):
        assert found[name] == reason


@pytest.mark.parametrize(
    ("part", "nulls"),
    [
        ("evaluation", {"epoch_time_s", "speedup"}),
        ("epoch_start", {"epoch_time_s", "speedup"}),
        ("edges", {"epoch_time_s", "speedup"}),
        ("partial_batch", set()),
        ("full_epoch", set()),
        ("examine", {"flops_per_sample", "gemm_ceiling_share"}),
    ],
)
def test_a_lost_part_costs_its_own_value(part: str, nulls: set[str]) -> None:
    """The row is ok, its steps are measured, each null has the reason, and nothing else is missing."""
    whole, row_of = measured((), ()), measured((part,), (part,))
    assert (row_of.status, row_of.generations) == ("ok", 2)
    assert row_of.step_time_s == whole.step_time_s
    assert row_of.samples_per_sec == whole.samples_per_sec
    assert row_of.step_speedup == whole.step_speedup is not None
    assert row_of.unavailable[part] == "failed"
    for name in ("epoch_time_s", "speedup", "flops_per_sample", "gemm_ceiling_share"):
        value: Any = getattr(row_of, name)
        assert (value is None) == (name in nulls), name
        assert (row_of.unavailable.get(name) == "failed") == (name in nulls), name


def test_generations_with_a_forecast_make_the_forecast() -> None:
    """An evaluation that failed once costs one of three forecasts, and no reason is left behind."""
    found = measured((), ("evaluation",), ())
    assert (found.generations, len(found.generation_epoch_time_s)) == (3, 2)
    assert found.epoch_time_s is not None and found.epoch_time_s.value == pytest.approx(1.5)
    assert not {"epoch_time_s", "speedup", "evaluation"} & found.unavailable.keys()
    assert "in 1 of 3 processes" in found.notes[0].text


def test_a_row_that_lost_nothing_has_no_note() -> None:
    """Silence."""
    assert list(lost_notes([process(), replace(process(), key="y")])) == []
