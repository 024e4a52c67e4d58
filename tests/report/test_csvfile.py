"""Rows as CSV: pandas reads back what the Document holds, one line per row."""

from __future__ import annotations

import io
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from report_documents import (
    BATCHES,
    DEVICE_CLOCK,
    DOCUMENTS,
    FOUR_ROWS,
    LOST_PART,
    ON_GPU,
    TWO_ROWS,
    document,
    reference,
)
from stored_values import documents as any_document

from perfkit.document import Document, StepWindows
from perfkit.report import csvfile
from perfkit.report.stored import StoredAnswer


def read(*shown: Document) -> pd.DataFrame:
    """What pandas makes of the CSV of Documents."""
    runs = [StoredAnswer(name=f"run{number}", document=one) for number, one in enumerate(shown)]
    return pd.read_csv(io.StringIO(csvfile.report(runs)))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_round_trip(name: str) -> None:
    """Keys, statuses, times, intervals, phases and bytes come back exactly; missing ones as missing."""
    shown = DOCUMENTS[name]
    found = read(shown)
    assert list(found["key"]) == [row.key for row in shown.rows]
    assert list(found["status"]) == [row.status for row in shown.rows]
    for number, row in enumerate(shown.rows):
        line = found.iloc[number]
        exact = {
            "epoch_time_s": row.epoch_time_s and row.epoch_time_s.value,
            "epoch_time_low_s": row.epoch_time_s and row.epoch_time_s.low,
            "step_time_s": row.step_time_s and row.step_time_s.median,
            "step_time_p90_s": row.step_time_s and row.step_time_s.p90,
            "samples_per_sec": row.samples_per_sec,
            "speedup": row.speedup and row.speedup.value,
            "speedup_high": row.speedup and row.speedup.high,
            "peak_rss_bytes": row.peak_rss_bytes,
            "peak_allocated_bytes": row.peak_allocated_bytes,
            **{f"phase_{phase}_s": value for phase, value in row.phases_s.items()},
            **{f"epoch_part_{part}_s": value for part, value in row.epoch_parts_s.items()},
        }
        for column, value in exact.items():
            got = line[column]
            assert pd.isna(got) if value is None else got == value, column


def test_whole_numbers_stay_whole() -> None:
    """Bytes are no floats, not even in a column where a row has none."""
    text = csvfile.report([StoredAnswer(name="run", document=FOUR_ROWS)])
    assert f",{612 * 2**20}," in text
    assert f"{612 * 2**20}.0" not in text


def test_several_runs_share_a_table() -> None:
    """A column that one run lacks is empty there; every line says whose it is."""
    found = read(TWO_ROWS, ON_GPU)
    assert list(found["run"]) == ["run0"] * 2 + ["run1"] * 3
    assert list(found["environment_device_name"][[0, 2]]) == [
        "Example CPU @ 2.5 GHz",
        "Example GPU",
    ]
    assert found["environment_device_memory_bytes"].isna().tolist() == [True] * 2 + [False] * 3


def test_notes_lists_and_reasons_are_cells() -> None:
    """What is not one number is one text."""
    first = reference(generation_epoch_time_s=(1.5, 2.5), effective={"autocast_dtype": "off"})
    line = read(document(first, TWO_ROWS.rows[1], base={"devices": ["cuda:0", "cuda:1"]})).iloc[0]
    assert line["generation_epoch_time_s"] == "1.5; 2.5"
    assert line["effective_autocast_dtype"] == "off"
    assert line["base_devices"] == "cuda:0; cuda:1"
    assert "mfu=unknown_peak" in line["unavailable"]
    assert "emulated_bf16: bfloat16 is emulated" in read(TWO_ROWS).iloc[1]["notes"]


def test_columns_of_phases_stand_together_in_their_order() -> None:
    """Rows of an older document and of a newer one: both kinds of wait, and then what follows them."""
    found = read(TWO_ROWS, BATCHES, DEVICE_CLOCK)
    phases = [name for name in found.columns if name.startswith("phase_")]
    assert phases == [
        f"phase_{name}_s"
        for name in (
            "waiting", "transfer", "data_wait", "h2d", "forward", "backward", "optimizer", "other",
        )
    ]  # fmt: skip
    places = [list(found.columns).index(name) for name in phases]
    assert places == list(range(places[0], places[0] + len(places)))
    assert found["phase_data_wait_s"].isna().tolist() == [False, True, True, True, True, True]
    assert found["phases_clock"].tolist()[2:] == ["host", "host", "device", "device"]
    assert found["not_ready_share"].tolist()[2:] == [0.031, 0.002, 0.0, 0.44]
    assert found["run_delay_s"].tolist()[2:4] == [0.0012, 0.0178]
    assert found["startup_first_step_cold_s"].tolist()[-1] == 41.3


def test_a_lost_part_is_an_empty_cell() -> None:
    """No forecast is no number, and the reason stands in its column."""
    line = read(LOST_PART).iloc[1]
    assert pd.isna(line["epoch_time_s"]) and pd.isna(line["speedup"])
    assert line["step_speedup"] == 1.342 and line["step_speedup_outcome"] == "faster"
    assert "evaluation=failed" in line["unavailable"]
    assert "part_lost: evaluation was lost" in line["notes"]


def test_columns_say_their_unit() -> None:
    """Every measured number has its unit as the end of its column's name."""
    names = StoredAnswer(name="run", document=TWO_ROWS).frame().columns
    assert {"epoch_time_s", "epoch_time_high_s", "phase_forward_s", "epoch_part_steps_s"} <= set(
        names
    )
    assert not [name for name in names if "time" in name and not name.endswith("_s")]


def test_a_frame_has_numbers_to_compute_with() -> None:
    """What is missing is NA, whole numbers stay whole beside it, and texts are as they were stored."""
    odd = replace(FOUR_ROWS.rows[0], key="=sum/fp32")
    found = StoredAnswer(
        name="run", document=replace(FOUR_ROWS, rows=(odd, *FOUR_ROWS.rows[1:]))
    ).frame()
    assert len(found) == 4 and found["key"][0] == "=sum/fp32"
    assert found["epoch_time_s"].isna().tolist() == [False, True, True, False]
    assert found["epoch_time_s"].mean() == pytest.approx((28.1 + 6.84) / 2)
    assert (str(found["peak_rss_bytes"].dtype), found["peak_rss_bytes"][0]) == (
        "Int64",
        612 * 2**20,
    )
    assert str(found["phase_forward_s"].dtype) == "Float64"


def test_windows_are_their_steps() -> None:
    """Of a watched training the windows that are compared stand in a column, seconds each."""
    windows = {"later_epochs": StepWindows(step_time_s=(0.25, 0.5), steps=80)}
    found = read(document(reference(windows=windows), TWO_ROWS.rows[1]))
    assert found["windows_later_epochs_s"][0] == "0.25; 0.5"
    assert found["windows_later_epochs_s"].isna().tolist() == [False, True]


def test_a_spreadsheet_computes_nothing() -> None:
    """A name that begins like a formula is text; a negative number is still a number."""
    evil = replace(TWO_ROWS.rows[0], key='=HYPERLINK("x")/fp32', arch='=HYPERLINK("x")')
    text = csvfile.report([StoredAnswer(name="+run", document=replace(TWO_ROWS, rows=(evil,)))])
    assert text.split("\n")[1].startswith("'+run,")
    assert ",\"'=HYPERLINK(" in text
    assert ",=" not in text and ',"=' not in text


@given(any_document)
def test_any_document_is_one_line_per_row(shown: Document) -> None:
    """Whatever texts and numbers a Document holds, pandas reads as many rows with the keys they have."""
    text = csvfile.report([StoredAnswer(name="run", document=shown)])
    if shown.rows:
        assert len(text.splitlines()) == 1 + len(shown.rows)
        assert len(pd.read_csv(io.StringIO(text))) == len(shown.rows)
