"""The registry of metrics: complete, and what is made from it reads well."""

from __future__ import annotations

from dataclasses import fields

import pytest

from perfkit.document import Row, Speedup, Spread
from perfkit.metrics import INTERVAL, JUDGED, METRICS, SPREAD, head
from perfkit.stats import Interval

CHOSEN = {"peak_bytes"}
"""What is no field of a row but chosen among several."""


def test_every_field_of_a_row_is_registered() -> None:
    """And nothing else: a title, a description without a full stop, and every name once."""
    assert set(METRICS) - CHOSEN == {field.name for field in fields(Row)}
    titles = [metric.title for metric in METRICS.values()]
    assert len(set(titles)) == len(titles)
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.description and not metric.description.endswith(".")


@pytest.mark.parametrize(
    ("suffix", "kind"), [("_s", "duration"), ("_bytes", "bytes"), ("_ratio", "ratio")]
)
def test_a_suffix_is_the_unit(suffix: str, kind: str) -> None:
    """Names that end in a unit are of its kind."""
    ending = [metric for metric in METRICS.values() if metric.name.endswith(suffix)]
    assert ending and {metric.kind for metric in ending} == {kind}


def test_parts_are_fields() -> None:
    """Of the types that the document stores."""
    for kind, parts in ((Interval, INTERVAL), (Spread, SPREAD), (Speedup, JUDGED)):
        assert {field.name for field in fields(kind)} == set(parts)


def test_mappings_have_columns_for_their_members() -> None:
    """Every dict of numbers or texts, and no other field."""
    mappings = {f.name for f in fields(Row) if str(f.type).startswith("dict")} - {"unavailable"}
    assert {metric.name for metric in METRICS.values() if metric.member} == mappings
    for metric in METRICS.values():
        assert metric.member.count("{}") == (1 if metric.member else 0)


def test_heads() -> None:
    """The value has the name itself; the unit stays the suffix of its bounds."""
    assert METRICS["epoch_time_s"].heads() == {
        "epoch_time_s": "value", "epoch_time_low_s": "low", "epoch_time_high_s": "high",
    }  # fmt: skip
    assert list(METRICS["speedup"].heads()) == [
        "speedup", "speedup_low", "speedup_high", "speedup_outcome",
    ]  # fmt: skip
    assert head("peak_bytes", "low") == "peak_low_bytes"


def test_in_text() -> None:
    """Abbreviations keep their capitals."""
    said = {name: METRICS[name].in_text for name in ("epoch_time_s", "mfu", "gpu_util_share")}
    assert list(said.values()) == ["epoch time", "MFU", "GPU utilisation"]
    assert METRICS["flops_per_sample"].in_text == "FLOPs per sample"
    assert METRICS["samples_per_sec"].in_text == "samples per second"


def test_which_is_better() -> None:
    """In words that fit what is counted."""
    assert METRICS["epoch_time_s"].preference == "shorter is better"
    assert METRICS["peak_bytes"].preference == "less is better"
    assert METRICS["samples_per_sec"].preference == "more is better"
    assert METRICS["gpu_util_share"].preference == ""
