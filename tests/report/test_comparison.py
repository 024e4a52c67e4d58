"""What a terminal shows of two runs: golden text, and what must hold at any width."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from golden_files import golden
from report_documents import CPU, judged

from perfkit.comparison import ComparedRow, Comparison, Difference, Side, Source
from perfkit.document import Note
from perfkit.report import console
from perfkit.stats import Interval

GOLDEN = Path(__file__).parent / "golden"
MIB = 2**20


def side(epoch_s: float, peak_mib: int = 453, **changes: Any) -> Side:
    """A row that was measured in one of the runs."""
    values: dict[str, Any] = {
        "status": "ok",
        "epoch_time_s": Interval(epoch_s, epoch_s - 0.3, epoch_s + 0.3),
        "generations": 6,
        "peak_bytes": peak_mib * MIB,
    }
    return Side(**(values | changes))


def compared(key: str, old: Side | None, new: Side | None, **changes: Any) -> ComparedRow:
    """What became of a row."""
    arch, _, variant = key.partition("/")
    values: dict[str, Any] = {"memory_on": "host", "memory_ratio": 1.0, "memory_outcome": "same"}
    if old is None or new is None:
        values = {}
    return ComparedRow(key=key, arch=arch, variant=variant, old=old, new=new, **(values | changes))


def comparison(*rows: ComparedRow, **changes: Any) -> Comparison:
    """Two benches on a CPU."""
    values: dict[str, Any] = {
        "kind": "compare",
        "command": "perfkit compare main.json branch.json",
        "created": "2026-01-02T00:00:00+00:00",
        "environment": CPU,
        "base": {},
        "old": Source(name="main.json", command="perfkit bench --amp", created="2026-01-01"),
        "new": Source(name="branch.json", command="perfkit bench --amp", created="2026-01-02"),
        "reference": "convnext/fp32",
        "compared": rows,
        "method": {"interval": "95 %, Welch's t over generations, 4 or more of each run"},
    }
    return Comparison(**(values | changes))


REFERENCE = compared(
    "convnext/fp32", side(7.5), side(7.9), speedup=judged(0.95, 0.9, 1.003, "inconclusive")
)
WITH_REFERENCE = comparison(
    REFERENCE,
    compared(
        "convnext/amp",
        side(6.1),
        side(7.6, 600),
        speedup=judged(0.8, 0.75, 0.86, "slower"),
        against_reference=judged(0.845, 0.82, 0.87, "slower"),
        memory_ratio=600 / 453,
        memory_outcome="more",
        notes=(Note(code="read_back_differs", text="read back from torch: tf32 was off, is on"),),
    ),
    compared(
        "convnext/bf16", side(6.0), side(6.2), against_reference=judged(1.01, 1.0, 1.02, "same")
    ),
    gates=("slower:5%", "memory:5%"),
    tripped=(
        Note(code="slower:5%", text="convnext/amp: it is 0.84× as fast [0.82–0.87]"),
        Note(code="memory:5%", text="convnext/amp: peak memory is 1.32×"),
    ),
    differences=(Difference(of="environment", name="torch", old="2.12.0", new="2.13.0"),),
    warnings=(
        Note(code="other_environment", text="another environment: torch was 2.12.0, is 2.13.0"),
    ),
)
WITHOUT_REFERENCE = comparison(
    compared("convnext/fp32", side(7.5), side(5.0), speedup=judged(1.5, 1.4, 1.6, "faster")),
    compared(
        "convnext/amp",
        side(6.1),
        Side(status="oom", message="no memory at batch 1024"),
        memory_ratio=None,
        memory_outcome=None,
    ),
    compared("convnext/bf16", side(6.0), None),
    compared("baseline/fp32", None, side(1.0)),
    reference=None,
    gates=("inconclusive",),
    unavailable={"against_reference": "other_settings"},
)
SAME = comparison(
    compared("convnext/fp32", side(7.5), side(7.5), speedup=judged(1, 1, 1, "same")),
    same_study=True,
    reference=None,
)
ALL = {"with_reference": WITH_REFERENCE, "without_reference": WITHOUT_REFERENCE, "same": SAME}


@pytest.mark.parametrize("name", ["with_reference", "without_reference", "with_reference_60"])
def test_golden(name: str) -> None:
    """The exact text; run with PERFKIT_WRITE_GOLDEN=1 to accept a change, and read the diff."""
    width = 60 if name.endswith("_60") else 120
    text = console.render(ALL[name.removesuffix("_60")], width=width, color=False)
    assert text == golden(GOLDEN / f"compare_{name}.txt", text)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_fits_the_width_and_loses_nothing(name: str, width: int) -> None:
    """No line is wider than asked, and every key, outcome, gate and warning is there whole."""
    shown = ALL[name]
    text = console.render(shown, width=width, color=False)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    for row in shown.compared:
        assert row.key in words
        assert row.judged is None or row.judged.outcome in words
    for note in (*shown.warnings, *shown.tripped):
        assert note.text in words


def test_a_study_held_against_itself_says_so() -> None:
    """No sentence on what moved."""
    text = console.render(SAME, width=120, color=False)
    assert "Both are one and the same study" in text


def test_somebody_elses_text_brings_no_terminal_codes() -> None:
    """Names, commands and messages are shown without what they would do to a terminal."""
    nasty = "a\x1b[31mb\nc"
    shown = replace(
        WITH_REFERENCE,
        old=Source(name=nasty, command=nasty, created=nasty),
        warnings=(Note(code="x", text=nasty),),
    )
    text = console.render(shown, width=120, color=False)
    assert "\x1b" not in text and "ab c, ab c: ab c" in text


def test_colour_repeats_words() -> None:
    """What is slower or takes more is red at a terminal."""
    assert "\x1b[31m0.84× [0.82–0.87] slower" in console.render(
        WITH_REFERENCE, width=200, color=True
    ).replace("\x1b[0m", "")


def test_a_row_without_an_epoch_is_no_failure_and_is_told() -> None:
    """Steps were timed but a part of the epoch was lost: a dash in the table, and a sentence."""
    lost = comparison(
        REFERENCE, compared("convnext/amp", side(6.1), side(0.5, epoch_time_s=None), memory_ratio=1)
    )
    text = console.render(lost, width=120, color=False)
    assert "No epoch could be forecast in NEW: convnext/amp." in " ".join(text.split())
    assert "forecast in OLD" not in text
    line = next(line for line in text.splitlines() if line.startswith("convnext/amp"))
    assert "–" in line and "ok" not in line.split()
