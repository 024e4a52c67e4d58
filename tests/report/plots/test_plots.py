"""The plots: files of a readable size that show the data, name what failed, and say what they lack."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image
from report_documents import (
    BATCHES,
    DEVICE_CLOCK,
    DOCUMENTS,
    FOUR_ROWS,
    INTERRUPTED,
    LOST_PART,
    ON_GPU,
    TWO_ROWS,
    document,
    failed,
    judged,
    reference,
    row,
)
from report_pages import figure, pictures, texts
from report_study import make, renamed, wavy

from perfkit.document import Document
from perfkit.report import plots
from perfkit.report.plots import _page, _stack, _text, epoch_time, memory, phases

LONG = (
    "path/to/a/project/"
    + "models/" * 12
    + "net.py:factory/bf16+compile=max-autotune+num_workers=16"
)
TWELVE = document(
    reference(),
    *(
        row(f"convnext/amp+num_workers={n}", 28.1 / (1 + n / 10), phases_s={"forward": 0.1, "other": 0.02})
        for n in range(9)
    ),
    failed("convnext/bf16", "oom", "CUDA out of memory"),
    row(LONG, 20.0, speedup=judged(1.4, 1.3, 1.5, "faster")),
)  # fmt: skip
OLDER = {"data_wait": 0.2, "all_reduce": 0.1, "other": 0.1}
MIXED = replace(
    DEVICE_CLOCK,
    rows=(
        *DEVICE_CLOCK.rows,
        row("convnext/bf16", phases_s=OLDER, phases_clock="host"),
        row(LONG, phases_s={"forward": 0.3}),
    ),
)
SHOWN = DOCUMENTS | {"twelve_rows": TWELVE, "mixed_clocks": MIXED}


def pixels(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


def bars(drawn: Figure) -> Sequence[Any]:
    return drawn.axes[0].patches


@pytest.mark.parametrize("name", SHOWN)
def test_every_plot_is_a_readable_png(name: str) -> None:
    """At least 600 pixels wide, no narrower than high beyond reason, and not blank."""
    drawn = pictures(SHOWN[name]).drawn
    assert [one.file_name for one in drawn][:2] == ["report-epoch-time.png", "report-memory.png"]
    for one in drawn:
        image = pixels(one.png)
        assert one.png.startswith(b"\x89PNG")
        assert image.width >= 600
        assert 100 < image.height < 5 * image.width
        assert len(image.getcolors(2**24) or []) > 10
        assert one.caption.endswith(".")


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("plot", [epoch_time, memory, phases])
def test_nothing_is_written_past_the_page(name: str, plot: Any) -> None:
    """Every text lies inside the page, however long the names, and no two lines of text overlap."""
    drawing = plot.draw(SHOWN[name], None)
    if isinstance(drawing, _page.Absent):
        return
    page = figure(drawing)
    page.canvas.draw()
    (axes,) = page.axes
    ends = axes.get_xlim()
    ticks = [tick.label1 for tick in axes.xaxis.get_major_ticks() if tick.get_loc() <= ends[1]]
    legends = [said for legend in page.legends for said in legend.get_texts()]
    boxes = []
    for one in (*page.texts, *axes.texts, *legends, axes.xaxis.label, *ticks):
        box = one.get_window_extent()
        assert box.x0 >= -1 and box.x1 <= page.bbox.width + 1, one.get_text()
        assert box.y0 >= -1 and box.y1 <= page.bbox.height + 1, one.get_text()
        boxes.append((one.get_text(), box))
    for number, (said, box) in enumerate(boxes):
        for other, other_box in boxes[number + 1 :]:
            apart = (
                box.x1 <= other_box.x0 + 1 or other_box.x1 <= box.x0 + 1
                or box.y1 <= other_box.y0 + 3 or other_box.y1 <= box.y0 + 3
            )  # fmt: skip
            assert apart, (said, other)


@pytest.mark.parametrize("plot", [epoch_time, memory, phases])
def test_every_row_is_named(plot: Any) -> None:
    """Keys stand on the page whole, long ones on several lines."""
    written = "".join(texts(figure(plot.draw(TWELVE, None))))
    for one in TWELVE.rows:
        assert one.key in written


def test_other_data_is_another_picture() -> None:
    """Each plot depends on what it shows."""
    slower = replace(
        TWO_ROWS.rows[1], epoch_time_s=TWO_ROWS.rows[0].epoch_time_s, peak_rss_bytes=2**30,
        phases_s={"forward": 0.1},
    )  # fmt: skip
    changed = replace(TWO_ROWS, rows=(TWO_ROWS.rows[0], slower))
    pairs = list(zip(pictures(TWO_ROWS).drawn, pictures(changed).drawn, strict=True))
    assert len(pairs) == 3
    for before, after in pairs:
        assert before.png != after.png


def test_a_picture_is_the_same_each_time() -> None:
    """The same Document gives the same bytes: a report under version control changes with its data."""
    assert pictures(TWO_ROWS) == pictures(TWO_ROWS)


def test_bars_are_as_long_as_what_they_show() -> None:
    """An axis begins at zero, and a bar ends at its value in the axis's unit."""
    page = figure(epoch_time.draw(TWO_ROWS, None))
    assert [bar.get_width() for bar in bars(page)] == [28.1, 20.94]
    assert page.axes[0].get_xlim()[0] == 0
    of_steps = bars(figure(phases.draw(TWO_ROWS, None)))
    assert sum(bar.get_width() for bar in of_steps) == pytest.approx(209)


def test_failed_rows_are_named_and_not_drawn() -> None:
    """What was not measured has its status in words, and no bar of length zero."""
    for plot in (epoch_time, memory):
        page = figure(plot.draw(FOUR_ROWS, None))
        assert len(bars(page)) == 2
        assert "oom: not measured" in texts(page)
        assert "unsupported: not measured" in texts(page)
    page = figure(phases.draw(FOUR_ROWS, None))
    assert "not measured" in texts(page), "a row that is ok has no phases"


def test_a_row_that_failed_late_keeps_what_was_measured() -> None:
    """A killed row with an epoch time has its bar, and the word beside its value."""
    killed = replace(TWO_ROWS.rows[1], status="killed", message="kill -9")
    page = figure(epoch_time.draw(replace(TWO_ROWS, rows=(TWO_ROWS.rows[0], killed)), None))
    assert len(bars(page)) == 2
    assert any(said.endswith("faster (killed)") for said in texts(page))


def test_missing_intervals_are_not_drawn() -> None:
    """One generation has no interval: no whisker of length zero."""
    with_interval = figure(epoch_time.draw(TWO_ROWS, None)).axes[0].lines
    without = figure(epoch_time.draw(INTERRUPTED, None)).axes[0].lines
    whiskers = [line for line in without if line.get_marker() == "|"]
    assert whiskers == []
    assert len([line for line in with_interval if line.get_marker() == "|"]) == 2


def test_the_outcome_is_a_word_and_a_hatch() -> None:
    """Without colour, a slower row and one not settled are still told from a faster one."""
    looks = set()
    for outcome in ("faster", "slower", "inconclusive"):
        speedup = judged(1.1, 0.9, 1.2, outcome)
        page = figure(epoch_time.draw(document(reference(), row("a/amp", speedup=speedup)), None))
        assert any(said.endswith(outcome) for said in texts(page))
        looks.add(bars(page)[1].get_hatch())
    assert len(looks) == 3


def test_phases_are_told_apart_in_grey() -> None:
    """Neighbours in the stack differ in hatch or clearly in lightness."""

    def grey(color: str) -> float:
        red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    looks = list(_stack.STEP_LOOKS.values())
    for (color, hatch), (next_color, next_hatch) in pairwise(looks):
        assert hatch != next_hatch or abs(grey(color) - grey(next_color)) > 50


def caption(shown: Document) -> str:
    drawing = phases.draw(shown, None)
    assert isinstance(drawing, _page.Drawing)
    return drawing.caption


def test_phases_name_both_waits_and_the_clock() -> None:
    """Waiting and transfer are drawn apart and explained; the clock is named, per row where rows differ."""
    page = figure(phases.draw(BATCHES, None))
    legend = [said.get_text() for said in page.legends[0].get_texts()]
    assert {"waiting", "transfer"} < set(legend) and "data wait" not in legend
    assert "waiting: the batch was not there; transfer: it was there" in caption(BATCHES)
    assert "clock" not in caption(BATCHES)
    assert "The phases are on the device's clock" in caption(DEVICE_CLOCK)
    assert "834 ms" in texts(figure(phases.draw(DEVICE_CLOCK, None)))
    written = texts(figure(phases.draw(MIXED, None)))
    assert {"834 ms, device's clock", "400 ms, host's clock", "300 ms, clock not known"} <= set(
        written
    )
    assert "data wait: both together" in caption(MIXED)
    assert caption(TWO_ROWS).endswith("“data wait” is the wait for a batch.")
    assert "does not name" in caption(ON_GPU)


def test_a_row_without_an_epoch_says_what_its_steps_say() -> None:
    """A lost part is neither a bar of no length nor `not measured`."""
    page = figure(epoch_time.draw(LOST_PART, None))
    assert len(bars(page)) == 1
    assert "no forecast of its epoch: only steps were timed" in texts(page)
    assert "steps: 1.34× [1.29–1.40] faster" in texts(page)
    lost = replace(LOST_PART.rows[0], epoch_time_s=None, epoch_parts_s={}, speedup=None)
    nothing = epoch_time.draw(replace(LOST_PART, rows=(lost, LOST_PART.rows[1])), None)
    assert nothing == _page.Absent("no row has one")


def test_an_unknown_phase_is_drawn_too() -> None:
    """A phase that this version has no look for still has its place and its name."""
    shown = document(reference(phases_s={"forward": 0.1, "all_reduce": 0.1}))
    page = figure(phases.draw(shown, None))
    assert len(bars(page)) == 2
    assert "all reduce" in texts(page)


def test_memory_is_the_devices_where_there_is_one() -> None:
    """Allocated and reserved on a device; trainer and workers on a host."""
    rows = tuple(replace(one, peak_reserved_bytes=2**34) for one in ON_GPU.rows)
    drawing = memory.draw(replace(ON_GPU, rows=rows), None)
    assert "reserved by the allocator" in texts(figure(drawing))
    assert isinstance(drawing, _page.Drawing) and "80.0 GiB" in drawing.caption
    host = replace(TWO_ROWS.rows[0], memory={"workers_pss_bytes": 2**27})
    page = figure(memory.draw(replace(TWO_ROWS, rows=(host,)), None))
    assert "its loader workers (PSS)" in texts(page)
    assert len(bars(page)) == 2


def test_nothing_measured_is_nothing_drawn() -> None:
    """Every plot says why it is not there."""
    left_out = dict(pictures(document(failed("a/fp32", "oom", "x"))).left_out)
    assert len(left_out) == len(plots.PLOTS)
    assert left_out["Epoch time"] == "no row has one"
    assert "study folder" in left_out["Step times over the run"]


@pytest.mark.parametrize(
    "key", ["a$b$c/fp32", "$\\frac{1/fp32", "名前/fp32", "a\nb/fp32", " ", "x" * 900]
)
def test_any_name_can_be_drawn(tmp_path: Path, key: str) -> None:
    """Dollars are no formula, long words are broken, and a missing glyph warns nobody."""
    shown = renamed(TWO_ROWS, [key, "convnext/amp"])
    study = make(tmp_path / "study", shown, {key: [wavy(8)]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(pictures(shown, study).drawn) == 4


def test_lines_are_broken_after_separators() -> None:
    """Every line fits, nothing is lost, and words stay whole where they can."""
    lines = _text.wrapped(LONG)
    assert "".join(lines) == LONG
    assert len(lines) > 1
    assert all(line[-1] in "/+=_" for line in lines[:-1])
    assert all(_text.width_in(line, "bold") <= _text.TEXT_WIDTH_IN for line in lines)
