"""`--fail-on`: what is a gate, and what trips it."""

from __future__ import annotations

from typing import Any

import pytest
from report_documents import judged

from perfkit.comparison import ComparedRow, Side
from perfkit.errors import UsageError
from perfkit.study.gate import Gate, parse, tripped, undecided


def compared(**changes: Any) -> ComparedRow:
    """A row that was measured in both runs."""
    values: dict[str, Any] = {"old": Side(status="ok"), "new": Side(status="ok")}
    return ComparedRow(key="a/b", arch="a", variant="b", **(values | changes))


def test_gates_are_read() -> None:
    """One of each, with fractions and spaces; nothing asked is no gate."""
    assert parse("slower:5%, memory:2.5%,inconclusive") == (
        Gate("slower", 0.05),
        Gate("memory", 0.025),
        Gate("inconclusive"),
    )
    assert parse(None) == ()
    assert [str(g) for g in parse("slower:10%,memory:2.5%")] == ["slower:10%", "memory:2.5%"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "slower",
        "slower:5",
        "slower:-5%",
        "faster:5%",
        "inconclusive:5%",
        "memory:%",
        "slower:5%,",
    ],
)
def test_what_is_no_gate_is_refused(text: str) -> None:
    """The hint shows how it is written."""
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert "slower:5%,memory:5%,inconclusive" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("low", "high", "trips"),
    [(0.80, 0.95, True), (0.80, 0.953, False), (0.94, 0.99, False), (1.1, 1.2, False)],
)
def test_slower_asks_for_the_whole_interval(low: float, high: float, trips: bool) -> None:
    """1 ÷ 1.05 is 0.952: an interval that reaches above it does not trip."""
    outcome = "slower" if high < 1 else "faster"
    row = compared(against_reference=judged((low + high) / 2, low, high, outcome))
    assert bool(tripped(parse("slower:5%"), [row])) is trips


def test_a_row_without_a_reference_has_room_for_the_machines_drift() -> None:
    """What trips against a reference need not trip directly; twice as far does."""
    near, far = judged(0.93, 0.92, 0.94, "slower"), judged(0.85, 0.84, 0.86, "slower")
    assert tripped(parse("slower:5%"), [compared(against_reference=near)])
    assert not tripped(parse("slower:5%"), [compared(speedup=near)])
    assert tripped(parse("slower:5%"), [compared(speedup=far)])


def test_memory_trips_past_its_limit() -> None:
    """Peaks have no interval: the ratio itself is held against the limit."""
    assert tripped(parse("memory:5%"), [compared(memory_ratio=1.06)])
    assert not tripped(parse("memory:5%"), [compared(memory_ratio=1.05)])
    assert not tripped(parse("memory:5%"), [compared(memory_ratio=None)])


def test_inconclusive_trips_on_open_and_on_vanished_rows() -> None:
    """A row that is new, or that failed in OLD, has nothing to settle."""
    open_row = compared(speedup=judged(0.99, 0.9, 1.1, "inconclusive"))
    assert tripped(parse("inconclusive"), [open_row])
    assert not tripped(parse("slower:0%"), [open_row])
    assert tripped(parse("inconclusive"), [compared(new=None)])
    assert not tripped(parse("inconclusive"), [compared(old=None)])


def test_a_note_names_gate_row_and_reason() -> None:
    """What a CI log shows."""
    row = compared(against_reference=judged(0.8, 0.75, 0.85, "slower"))
    (note,) = tripped(parse("slower:5%"), [row])
    assert note.code == "slower:5%"
    assert note.text == "a/b: it is 0.80× as fast [0.75–0.85]"


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"against_reference": (0.9, 0.8, 0.97, "slower")}, "it is 0.90× as fast [0.80–0.97], beyond the"),
        ({"against_reference": (0.9, 0.8, 1.1, "inconclusive")}, "it is 0.90× as fast [0.80–1.10], beyond"),
        ({"against_reference": (0.96, 0.9, 1.1, "inconclusive")}, None),
        ({"against_reference": (0.8, 0.75, 0.85, "slower")}, None),
        ({}, "there is nothing to compare its time by"),
        ({"new": None}, None),
    ],
)  # fmt: skip
def test_what_did_not_trip_and_may_yet(row: dict[str, Any], text: str | None) -> None:
    """Beyond the limit as measured, with what would decide it; what trips, or is well within, is not told."""
    row = {n: judged(*v) if isinstance(v, tuple) else v for n, v in row.items()}
    found = undecided(parse("slower:5%"), [compared(**row)], lambda row, gate: "more would tell")
    if text is None:
        assert not found
        return
    assert found[0].code == "slower:5%" and found[0].text.startswith(f"a/b: {text}")
    assert found[0].text.endswith("; more would tell") is ("against_reference" in row)


def test_a_memory_gate_without_peaks_is_open() -> None:
    """It cannot trip, and says so; a known peak decides it at once."""
    gates = parse("memory:5%")
    (note,) = undecided(gates, [compared(memory_ratio=None)], lambda row, gate: "")
    assert note.text == "a/b: peak memory is not known in both runs"
    assert not undecided(gates, [compared(memory_ratio=1.04)], lambda row, gate: "")


def test_an_open_row_says_how_much_more_would_settle_it() -> None:
    """In steps of a watched run, in generations else."""
    row = {"speedup": judged(0.99, 0.9, 1.1, "inconclusive")}
    (steps,) = tripped(parse("inconclusive"), [compared(**row, more_steps=240)])
    (generations,) = tripped(parse("inconclusive"), [compared(**row, more_generations=1)])
    assert steps.text.endswith("is not settled; some 240 steps more in each run would tell")
    assert generations.text.endswith("not settled; some 1 generation more of each run would tell")
