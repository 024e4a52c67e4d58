"""A diagnosis in CSV: columns of its row, that pandas reads back as they are."""

from __future__ import annotations

import io
from dataclasses import replace

import pandas as pd
import pytest
from report_diagnoses import BALANCED, CONTENDED, DECODE, DIAGNOSES, UNFINISHED, VERIFIED
from report_documents import TWO_ROWS

from perfkit.document import Document
from perfkit.report import csvfile
from perfkit.report.stored import StoredAnswer


def read(*shown: Document) -> pd.DataFrame:
    runs = [StoredAnswer(name=f"run{number}", document=one) for number, one in enumerate(shown)]
    return pd.read_csv(io.StringIO(csvfile.report(runs)))


@pytest.mark.parametrize("shown", DIAGNOSES.values(), ids=DIAGNOSES)
def test_round_trip(shown: Document) -> None:
    """One line, with every part, verdict, rate and remedy exactly; missing ones as missing."""
    diagnosis = shown.diagnosis
    assert diagnosis is not None
    found = read(shown)
    assert len(found) == 1
    line = found.iloc[0]
    assert line["diagnosis_primary"] == diagnosis.primary
    exact = {
        **{f"breakdown_{name}_s": value for name, value in diagnosis.breakdown_s.items()},
        **{f"verdict_{one.kind}_share": one.share.value for one in diagnosis.verdicts},
        **{f"verdict_{one.kind}_share_low": one.share.low for one in diagnosis.verdicts},
        **{f"verdict_{v.kind}_seconds_per_epoch": v.seconds_per_epoch for v in diagnosis.verdicts},
        **{
            f"verdict_{one.kind}_removable_high_s": one.removable_s and one.removable_s.high
            for one in diagnosis.verdicts
        },
        **{
            f"remedy_{one.name}_{value}_speedup": of and of.value
            for one in diagnosis.remedies
            for value, of in (
                ("predicted", one.predicted_speedup),
                ("measured", one.measured_speedup),
            )
        },
        "loader_samples_per_sec": diagnosis.loader_samples_per_sec,
        "workers_needed": diagnosis.workers_needed,
    }
    for column, value in exact.items():
        got = line[f"diagnosis_{column}"]
        assert pd.isna(got) if value is None else got == value, column


def test_runs_stand_below_each_other() -> None:
    """Several diagnoses share their columns; a bench beside them has none of it."""
    found = read(DECODE, CONTENDED, TWO_ROWS)
    assert found["diagnosis_primary"].tolist()[:2] == ["input_bound", "contended"]
    assert found["diagnosis_primary"].isna().tolist() == [False, False, True, True]
    assert found["diagnosis_breakdown_contention_s"].tolist()[:2] == [0.0009, 2.28]
    assert found["diagnosis_verdict_input_bound_stage"].tolist()[:2] == ["decode", "storage"]
    assert found["diagnosis_verdict_input_bound_flags"][0] == "too_few_workers"
    assert not [name for name in read(TWO_ROWS).columns if name.startswith("diagnosis_")]


def test_a_name_that_comes_twice_has_two_columns() -> None:
    """Two remedies of one name do not hide each other."""
    assert VERIFIED.diagnosis is not None
    first = VERIFIED.diagnosis.remedies[0]
    twice = replace(VERIFIED.diagnosis, remedies=(first, replace(first, variant="num_workers=8")))
    line = read(replace(VERIFIED, diagnosis=twice)).iloc[0]
    assert line["diagnosis_remedy_num_workers_variant"] == "num_workers=6"
    assert line["diagnosis_remedy_num_workers_2_variant"] == "num_workers=8"


def test_reasons_stand_in_a_column() -> None:
    """Why something is not there, and why there is no verdict."""
    assert read(BALANCED).iloc[0]["diagnosis_unavailable"] == "contention=no_time"
    line = read(UNFINISHED).iloc[0]
    assert line["diagnosis_inconclusive_because"].startswith("one palindrome")
    assert pd.isna(line["diagnosis_actual_samples_per_sec"])
