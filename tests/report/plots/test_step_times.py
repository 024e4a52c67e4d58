"""Step times over the run: which steps are read, and how they are shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_documents import FOUR_ROWS, TWO_ROWS
from report_pages import figure, pictures, texts
from report_study import make, step, wavy, write_steps

from perfkit.records import STEPS
from perfkit.report.plots import _page, _steps, step_times
from perfkit.runfolder import write_json


def test_step_times_show_every_step(tmp_path: Path) -> None:
    """A panel per row, a point per step in the order of generations, a triangle for one far beyond."""
    first = wavy(50)
    first[10] = 9.0
    times = {"convnext/fp32": [first, wavy(50)], "convnext/amp": [wavy(30), wavy(20)]}
    study = make(tmp_path / "study", TWO_ROWS, times)
    page = figure(step_times.draw(TWO_ROWS, study))
    assert len(page.axes) == 2
    for axes, steps, beyond in zip(page.axes, (99, 50), (1, 0), strict=True):
        points = [line for line in axes.lines if line.get_marker() == "."]
        assert sum(len(line.get_xdata()) for line in points) == steps
        triangles = [line for line in axes.lines if line.get_marker() == "^"]
        assert sum(len(line.get_xdata()) for line in triangles) == beyond
        across = [x for line in points for x in line.get_xdata()]
        assert across == sorted(across)
        assert axes.get_ylim()[0] == 0
        assert axes.get_ylim()[1] * 1e-3 < 1.0


def test_many_steps_are_thinned_and_told(tmp_path: Path) -> None:
    """A long run is drawn in part, which the caption says; outliers are never dropped."""
    times = wavy(9000)
    times[4001] = 9.0
    study = make(tmp_path / "study", TWO_ROWS, {"convnext/fp32": [times]})
    drawing = step_times.draw(TWO_ROWS, study)
    assert isinstance(drawing, _page.Drawing)
    assert "one in 3" in drawing.caption
    lines = drawing.figure.axes[0].lines
    assert [len(line.get_xdata()) for line in lines if line.get_marker() in ".^"] == [3000, 1]
    assert "no steps" in texts(drawing.figure), "the row without records is named"


def test_rows_without_steps_stand_below_the_axis(tmp_path: Path) -> None:
    """What names the generations has its place, though the last rows have no panel."""
    study = make(tmp_path / "study", FOUR_ROWS, {FOUR_ROWS.rows[0].key: [wavy(8), wavy(8)]})
    page = figure(step_times.draw(FOUR_ROWS, study))
    page.canvas.draw()
    (axes,) = page.axes
    lowest = axes.xaxis.label.get_window_extent().y0
    following = [one for one in page.texts if one.get_text() == FOUR_ROWS.rows[1].key]
    assert [one.get_window_extent().y1 < lowest for one in following] == [True]


def test_steps_are_read_from_blocks_of_finished_generations(tmp_path: Path) -> None:
    """Warm-up is left out, an unfinished generation too; a device's own clock goes before the host's."""
    study = make(tmp_path / "study", TWO_ROWS)
    records = [
        step(0, 9.0, block=-1),
        step(1, 0.5, device_s=0.25),
        step(2, 0.5),
        step(3, float("nan")),
    ]
    write_steps(study, "1-0", "convnext/fp32", records)
    write_steps(study, "2-0", "convnext/fp32", [step(0, 0.5)])
    write_json(study.generation(1), {})
    study.baton.append({"process": "1-7", "key": "convnext/amp", "what": "warm-up"})
    assert _steps.read(study) == {"convnext/fp32": [_steps.Process(1, [0.25, 0.5])]}


@pytest.mark.parametrize("damage", ["steps", "baton"])
def test_damaged_records_leave_the_other_plots(tmp_path: Path, damage: str) -> None:
    """Records that cannot be read cost one plot, and the report says which file it is."""
    study = make(tmp_path / "study", TWO_ROWS, {"convnext/fp32": [wavy(8)]})
    steps = next((tmp_path / "study").rglob("steps.bin"))
    path = steps if damage == "steps" else study.baton.path
    path.write_bytes(b"not ours\n" * 20)
    found = pictures(TWO_ROWS, study)
    assert len(found.drawn) == 3
    assert path.name in dict(found.left_out)["Step times over the run"]


def test_a_torn_record_is_dropped(tmp_path: Path) -> None:
    """A process that was killed while it wrote leaves all its whole records."""
    study = make(tmp_path / "study", TWO_ROWS, {"convnext/fp32": [wavy(8)]})
    steps = next((tmp_path / "study").rglob("steps.bin"))
    steps.write_bytes(steps.read_bytes()[:-5])
    assert len(_steps.read(study)["convnext/fp32"][0].times_s) == 7
    assert STEPS.count(steps) == 7
