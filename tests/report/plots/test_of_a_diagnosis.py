"""The plots of a diagnosis: the epoch as one bar, and predictions beside what was measured."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from diagnosis_builders import around, verdict
from matplotlib.figure import Figure
from PIL import Image
from report_diagnoses import (
    BALANCED,
    CONTENDED,
    DECODE,
    DIAGNOSES,
    NAIVE,
    PERIODIC,
    UNFINISHED,
    VERIFIED,
)
from report_documents import TWO_ROWS
from report_pages import figure, pictures, texts
from report_remedies import MORE_WORKERS

from perfkit.document import Document
from perfkit.report.plots import _page, _stack, epoch_breakdown, remedies
from perfkit.stats import Interval

LONG = "train/loops/of/somebody/else/" * 3 + "train.py:88"


def with_stage(shown: Document, stage: str) -> Document:
    assert shown.diagnosis is not None
    first = replace(shown.diagnosis.verdicts[0], stage=stage)
    return replace(shown, diagnosis=replace(shown.diagnosis, verdicts=(first,)))


SHOWN = DIAGNOSES | {"long_stage": with_stage(NAIVE, LONG)}


def breakdown(shown: Document) -> Figure:
    return figure(epoch_breakdown.draw(shown, None))


@pytest.mark.parametrize("name", DIAGNOSES)
def test_which_plots_there_are(name: str) -> None:
    """The epoch and a step; remedies where they have run; none that is a single bar of a number."""
    drawn = [one.file_name.removeprefix("report-") for one in pictures(DIAGNOSES[name]).drawn]
    wanted = ["epoch-breakdown.png"] if name != "unfinished" else []
    wanted += ["remedies.png"] if name == "verified" else []
    assert drawn == [*wanted, "phases.png"]


@pytest.mark.parametrize("name", SHOWN)
def test_every_page_is_readable(name: str) -> None:
    """A PNG at least 600 pixels wide, with nothing written past its edge or over other text."""
    for plot in (epoch_breakdown, remedies):
        drawing: Any = plot.draw(SHOWN[name], None)
        if isinstance(drawing, _page.Absent):
            continue
        image = Image.open(io.BytesIO(_page.png(drawing.figure)))
        assert image.width >= 600 and image.height > 100
        assert drawing.caption.endswith(".")
        page = drawing.figure
        page.draw_without_rendering()
        boxes = [
            (one.get_text(), one.get_window_extent())
            for one in (*page.axes[0].texts, *page.texts, *page.legends[0].get_texts())
        ]
        for said, box in boxes:
            assert box.x0 >= -1 and box.x1 <= page.bbox.width + 1, said
            assert box.y0 >= -1 and box.y1 <= page.bbox.height + 1, said
        for (said, box), (other, another) in combinations(boxes, 2):
            apart = (
                box.x1 <= another.x0 + 1 or another.x1 <= box.x0 + 1
                or box.y1 <= another.y0 + 3 or another.y1 <= box.y0 + 3
            )  # fmt: skip
            assert apart, (said, other)


def test_the_bar_is_the_epoch() -> None:
    """Its parts are as long as their seconds, and each is named with them."""
    bars: Any = breakdown(DECODE).axes[0].patches
    widths = [15.28, 0.32, 9.2, 0.0009, 0.21, 1.1, 0.241, 0.2]
    assert [bar.get_width() for bar in bars] == pytest.approx(widths)
    legend = [one.get_text() for one in breakdown(DECODE).legends[0].get_texts()]
    assert "waiting  15.28 s (58 %)" in legend and "contention  < 0.01 s (< 1 %)" in legend


def test_what_lies_below_zero_is_told_and_not_drawn() -> None:
    """A residual below zero is no bar."""
    drawing = epoch_breakdown.draw(CONTENDED, None)
    assert isinstance(drawing, _page.Drawing)
    assert "other is -10.0 ms, and not drawn." in drawing.caption


def test_the_mark_stands_at_the_part_that_decided() -> None:
    """Named by the verdict, on the side where there is room; none where nothing decided."""
    assert "▲ input_bound/decode" in texts(breakdown(DECODE))
    assert "periodic_bound/metrics ▲" in texts(breakdown(PERIODIC))
    assert not [said for said in texts(breakdown(BALANCED)) if "▲" in said]
    assert "▲ sync_bound" in texts(breakdown(SHOWN["long_stage"]))


def test_parts_are_told_apart_in_grey() -> None:
    """Any two parts may be neighbours: they differ in hatch or clearly in lightness."""

    def grey(color: str) -> float:
        red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    parts = (
        "waiting", "transfer", "h2d", "compute", "host_launch", "sync", "communication",
        "contention", "periodic", "eval", "startup", "other",
    )  # fmt: skip
    for (color, hatch), (other, other_hatch) in combinations(_stack.looks(parts).values(), 2):
        assert hatch != other_hatch or abs(grey(color) - grey(other)) > 50


def test_a_part_of_its_own_is_drawn_too() -> None:
    """A part that this version does not know has its place and its name."""
    assert DECODE.diagnosis is not None
    shown = replace(DECODE, diagnosis=replace(DECODE.diagnosis, breakdown_s={"my_part": 2.0}))
    assert "my part  2.000 s (100 %)" in texts(breakdown(shown))


def test_predictions_stand_beside_what_was_measured() -> None:
    """Only what has run, each judged in words; a miss has a mark of its own."""
    page = figure(remedies.draw(VERIFIED, None))
    written = texts(page)
    assert {"num_workers=6", "cache decoded", "metrics_every=20"} < set(written)
    assert "prefetch_factor=4" not in written and "bf16" not in written
    assert written.count("as predicted") == 2 and "missed: less than predicted" in written
    measured = [line.get_xdata()[0] for line in page.axes[0].lines if line.get_marker() in "os"]
    assert {2.09, 2.16, 0.97, 2.12, 2.21} <= set(measured)
    squares = [line for line in page.axes[0].lines if line.get_marker() == "s"]
    assert [line.get_xdata()[0] for line in squares] == [0.97]


def test_a_remedy_without_a_prediction_or_an_interval_is_a_point() -> None:
    """No whisker of length zero, and a legend of what there is."""
    assert VERIFIED.diagnosis is not None
    bare = replace(MORE_WORKERS, predicted_speedup=None, measured_speedup=Interval(1.5))
    shown = replace(VERIFIED, diagnosis=replace(VERIFIED.diagnosis, remedies=(bare,)))
    page = figure(remedies.draw(shown, None))
    assert [one.get_text() for one in page.legends[0].get_texts()] == ["measured"]
    assert 1.5 in [line.get_xdata()[0] for line in page.axes[0].lines if len(line.get_xdata())]


def test_what_is_not_there_has_its_reason() -> None:
    """Nothing attributed, nothing run: a reason each; a bench is not asked for either."""
    left_out = dict(pictures(UNFINISHED).left_out)
    assert left_out["Where the epoch goes"] == "the epoch was not attributed"
    assert "--verify" in left_out["Predicted and measured speed-up"]
    assert "Where the epoch goes" not in dict(pictures(TWO_ROWS).left_out)


def test_a_kind_without_a_part_has_no_mark() -> None:
    """A verdict that no part shows is not pinned to one."""
    assert DECODE.diagnosis is not None
    found = verdict("throttled", "high", around(0.3, 0.01), 8.0)
    diagnosis = replace(DECODE.diagnosis, primary="throttled", verdicts=(found,))
    assert not [
        said for said in texts(breakdown(replace(DECODE, diagnosis=diagnosis))) if "▲" in said
    ]
