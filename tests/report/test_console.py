"""What a terminal shows: golden text, and what must hold for any Document."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from golden_files import golden
from hypothesis import given
from hypothesis import strategies as st
from report_documents import (
    DOCUMENTS,
    EMULATED,
    FASTER,
    FOUR_ROWS,
    TWO_ROWS,
    document,
    failed,
    judged,
    reference,
    row,
)

from perfkit.document import Document
from perfkit.report import console, terminal

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = {name: 120 for name in DOCUMENTS} | {
    "four_rows_narrow": 60,
    "two_rows_100": 100,
    "batches_60": 60,
    "lost_part_60": 60,
}


@pytest.mark.parametrize("name", WIDTHS)
def test_golden(name: str) -> None:
    """The exact text; run with PERFKIT_WRITE_GOLDEN=1 to accept a change, and read the diff."""
    shown = DOCUMENTS.get(name) or DOCUMENTS[name.rpartition("_")[0]]
    text = console.render(shown, width=WIDTHS[name], color=False)
    assert text == golden(GOLDEN / f"{name}.txt", text)


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_fits_the_width_and_loses_nothing(name: str, width: int) -> None:
    """No line is wider than asked, nothing is cut, and every key, message and note is there whole."""
    shown = DOCUMENTS[name]
    text = console.render(shown, width=width, color=False)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    words = " ".join(text.split())
    for one in shown.rows:
        assert one.key in words
        for wanted in ((one.message or "").split("\n"), *([n.text] for n in one.notes)):
            assert all(piece in words for piece in wanted)
    for note in shown.warnings:
        assert note.text in words


def test_no_colour_means_no_escape() -> None:
    """Without colour there is not one terminal code; with it the words are the same."""
    bare = console.render(TWO_ROWS, width=120, color=False)
    coloured = console.render(TWO_ROWS, width=120, color=True)
    assert "\x1b" not in bare
    assert "\x1b[32m" in coloured
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in stripped.splitlines()] == bare.splitlines()


def test_the_outcome_is_a_word() -> None:
    """Every outcome can be read without colour."""
    for outcome in ("faster", "slower", "same", "inconclusive"):
        shown = document(reference(), row("convnext/amp", speedup=judged(1.0, 0.9, 1.1, outcome)))
        assert outcome in console.render(shown, width=120, color=False)


def test_headings_name_every_column() -> None:
    """The columns of the answer, in their order, whatever the width."""
    titles = (
        "Configuration", "Epoch time", "Step time", "Samples/s", "Speed-up", "Peak memory",
        "GPU utilisation", "Notes",
    )  # fmt: skip
    rows = tuple(replace(one, gpu_util_share=0.97) for one in TWO_ROWS.rows)
    shown = replace(TWO_ROWS, rows=rows)
    heading = console.render(shown, width=120, color=False).splitlines()[0]
    assert [heading.index(title) for title in titles] == sorted(map(heading.index, titles))
    narrow = console.render(shown, width=60, color=False)
    assert all(f"  {title}" in narrow for title in titles[1:])


@pytest.mark.parametrize("width", [60, 120])
def test_a_column_without_any_value_is_left_out(width: int) -> None:
    """Its reason stands below; a column that one row has a value in stays, and so do all that can be told."""
    text = console.render(TWO_ROWS, width=width, color=False)
    table, _, below = text.partition("amp trains an epoch")
    assert "GPU utilisation" not in table
    assert "GPU utilisation, allocated device memory" in " ".join(below.split())
    one = replace(TWO_ROWS.rows[1], gpu_util_share=0.5, notes=())
    shown = replace(TWO_ROWS, rows=(TWO_ROWS.rows[0], one))
    table = console.render(shown, width=width, color=False).partition("amp trains an epoch")[0]
    assert "GPU utilisation" in table and "Notes" not in table
    lost = document(failed("a/fp32", "oom", "no room"))
    assert "Epoch time" not in console.render(lost, width=width, color=False)


@pytest.mark.parametrize("width", [60, 120])
def test_names_are_not_markup(width: int) -> None:
    """Brackets, colons and terminal codes in somebody's names are text, or gone."""
    name = "[red]net[/red]:smile:/fp32"
    message = "\x1b[31mno [bold]memory[/]\x1b[0m\n\tleft\x07"
    shown = document(
        reference(name), failed("net[0]/amp", "error", message), command="perfkit bench [x]"
    )
    text = console.render(shown, width=width, color=False)
    assert name in text and "net[0]/amp" in text
    assert "error: no [bold]memory[/] left" in text
    assert "\x1b" not in text and "\x07" not in text


def test_a_document_without_rows_shows_its_head() -> None:
    """A Document that has no rows is not an error."""
    shown = replace(TWO_ROWS, kind="doctor", rows=(), findings=())
    text = console.render(shown, width=100, color=False)
    assert text.startswith("Measured")
    assert "Example CPU" in text


def test_an_empty_document_is_an_empty_line() -> None:
    """Nothing known is nothing said, not a crash."""
    shown = Document(kind="doctor", command="", created="", environment={}, base={})
    assert console.render(shown, width=100, color=False) == "\n"


def test_one_unit_per_column() -> None:
    """Times of one column share a unit, however far apart they are."""
    shown = document(reference(), row("convnext/amp", 0.9, 0.01, speedup=FASTER))
    lines = console.render(shown, width=120, color=False).splitlines()
    assert lines[1].split()[:2] == ["s", "ms"]
    assert "28.1 ± 0.5" in lines[3] and "0.900 ± 0.010" in lines[4]


def test_long_names_turn_the_table_into_records() -> None:
    """A table that does not fit is not broken: every row becomes a paragraph."""
    name = "convnext/bf16+compile=max-autotune-no-cudagraphs+num_workers=4"
    shown = document(reference(), row(name, 20.9, 0.4, speedup=FASTER, notes=(EMULATED,)))
    text = console.render(shown, width=120, color=False)
    assert f"\n{name}\n  Epoch time     20.9 ± 0.4 s\n" in text


@given(key=st.text(min_size=1), message=st.text(), width=st.integers(1, 250))
def test_any_text_is_shown(key: str, message: str, width: int) -> None:
    """Whatever a name or a message holds, rendering ends and keeps to the width."""
    shown = document(reference(key), failed(f"{key}/x", "error", message))
    text = console.render(shown, width=width, color=False)
    assert text.endswith("\n")
    assert "\x1b" not in text


class _Stream(io.TextIOWrapper):
    def __init__(self, encoding: str, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode(self.encoding)


def test_a_narrow_encoding_gets_plainer_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a stream cannot take × and –, it gets x and -, not an exception."""
    monkeypatch.setenv("COLUMNS", "120")
    stream = _Stream("ascii")
    console.show(FOUR_ROWS, stream)
    assert "4.11x as fast [3.92-4.30]" in " ".join(stream.text().split())
    stream = _Stream("ascii")
    terminal.write("old ÷ new: 1 → 2", stream)
    assert stream.text() == "old / new: 1 -> 2"


def test_width_comes_from_columns_then_the_terminal_then_a_default() -> None:
    """COLUMNS wins; what is neither a terminal nor told a width gets one that holds the table."""
    stream = _Stream("utf-8")
    assert terminal.width_of(stream, {"COLUMNS": "77"}) == 77
    assert terminal.width_of(stream, {"COLUMNS": "0"}) == terminal.WIDTH
    assert terminal.width_of(stream, {"COLUMNS": "wide"}) == terminal.WIDTH
    assert terminal.width_of(stream, {}) == terminal.WIDTH


def test_colour_is_for_terminals_that_welcome_it() -> None:
    """No colour in a pipe, with NO_COLOR, or on a dumb terminal."""
    stream = _Stream("utf-8", terminal=True)
    assert terminal.wants_color(stream, {})
    assert not terminal.wants_color(_Stream("utf-8"), {})
    assert not terminal.wants_color(stream, {"NO_COLOR": "1"})
    assert not terminal.wants_color(stream, {"TERM": "dumb"})
