"""The page that is made from the lists of metrics and notes."""

from __future__ import annotations

from pathlib import Path

from golden_files import golden

from perfkit.report import glossary

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_is_as_the_lists() -> None:
    """Run with PERFKIT_WRITE_GOLDEN=1 to write it again."""
    text = glossary.page()
    assert text == golden(PAGE, text)


def test_columns_stand_beside_their_title() -> None:
    """Bounds of an interval, a member of a mapping, or the name alone."""
    lines = glossary.page().split("\n")
    of = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    assert "| `epoch_time_s`, `epoch_time_low_s`, `epoch_time_high_s` " in of["Epoch time"]
    assert "| `phase_NAME_s` " in of["Phases of a step"]
    assert "| `mfu` " in of["MFU"] and "| higher |" in of["MFU"]
