"""Documents on disk: the stored format, what is refused, and that a file is always whole."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_values import documents as any_document
from stored_values import json_values

from perfkit import documentfile as documents
from perfkit.document import (
    SCHEMA_VERSION,
    Document,
    Row,
    Speedup,
)
from perfkit.errors import EXIT_USAGE, DamagedFile, LaterVersion, PerfkitError, UsageError
from perfkit.stats import Interval

FIRST = Path(__file__).parent / "golden" / "document-v1.json"
SECOND = Path(__file__).parent / "golden" / "document-v2.json"
THIRD = Path(__file__).parent / "golden" / "document-v3.json"
GOLDEN = Path(__file__).parent / "golden" / "document-v4.json"
TEXT = GOLDEN.read_text(encoding="utf-8")
PROMISED = "schema_version kind command environment base warnings unavailable diagnosis rows"
PROMISED_OF_A_ROW = (
    "key arch variant status message epoch_time_s step_time_s phases_s samples_per_sec speedup"
    " memory_ratio peak_allocated_bytes peak_reserved_bytes peak_rss_bytes gpu_util_share mfu"
    " gemm_ceiling_share effective overhead_share generations steps_measured unavailable"
)
MINIMAL = Document(kind="bench", command="perfkit bench", created="", environment={}, base={})


def changed(**changes: Any) -> str:
    return json.dumps(json.loads(TEXT) | changes)


def test_version_4_is_read_and_written_as_ever() -> None:
    """The golden file is kept: every later perfkit reads it, and this one writes it byte for byte."""
    assert SCHEMA_VERSION == 4
    read = documents.read(GOLDEN)
    assert documents.dumps(read) == TEXT
    first = read.rows[0]
    assert (first.phases_clock, first.not_ready_share, first.run_delay_s) == ("host", 0.24, 0.0178)
    assert first.startup_s["first_step_cold"] > first.startup_s["first_step"]
    found = read.diagnosis
    assert found is not None
    assert (found.primary, found.verdicts[0].stage) == ("input_bound", "transfer")
    assert [one.where for one in found.verdicts] == [None, "augment (data.py:12)"]
    assert found.verdicts[0].removable_s == Interval(6.1, 5.5, 6.7)
    assert found.differential_s["contention"] == Interval(0.0179, 0.016, 0.0198)
    assert (found.workers_needed, found.unavailable["workers_needed"]) == (None, "not_applicable")
    assert [(r.name, r.basis, r.changes_training) for r in found.remedies] == [
        ("packing", "arithmetic", False),
        ("bf16", "trialled", True),
    ]


def test_version_3_is_read_as_one_of_now() -> None:
    """What is new is null."""
    read, now = documents.read(THIRD), documents.read(GOLDEN)
    assert read.diagnosis is not None and now.diagnosis is not None
    nameless = tuple(replace(one, where=None) for one in now.diagnosis.verdicts)
    assert read == replace(now, diagnosis=replace(now.diagnosis, verdicts=nameless))


def test_version_2_is_read_as_one_of_now() -> None:
    """All of it is there, and what it held twice is held once."""
    assert documents.read(SECOND) == documents.read(THIRD)
    (stored, *_), (row, *_) = (
        json.loads(SECOND.read_text("utf-8"))["rows"],
        documents.read(SECOND).rows,
    )
    assert stored["memory"]["peak_rss_bytes"] == stored["peak_rss_bytes"] == row.peak_rss_bytes
    assert row.memory == {"workers_pss_bytes": None, "device_total_bytes": None}
    assert "gpu_util_share" in stored["telemetry"] and "gpu_util_share" not in row.telemetry
    assert row.telemetry["cpu_busy_share"] == 0.97


def test_a_value_that_only_the_mapping_held_is_the_fields() -> None:
    """Whoever wrote a peak in one place alone has it kept."""
    data = json.loads(SECOND.read_text(encoding="utf-8"))
    data["rows"][0] |= {"peak_reserved_bytes": None, "memory": {"peak_reserved_bytes": 7, "x": 5}}
    row = documents.loads(json.dumps(data)).rows[0]
    assert (row.peak_reserved_bytes, row.memory) == (7, {"x": 5})


def test_version_1_is_read_as_one_of_now() -> None:
    """What it holds is all there, what it did not know is null, and it is written in this version."""
    read = documents.read(FIRST)
    assert read.schema_version == SCHEMA_VERSION
    assert documents.loads(documents.dumps(read)) == read
    first, second, third, fourth = read.rows
    assert (read.kind, read.complete, read.diagnosis) == ("bench", True, None)
    assert first.epoch_time_s == Interval(28.134, 27.604, 28.664)
    assert (first.gpu_util_share, first.unavailable["gpu_util_share"]) == (None, "not_applicable")
    assert second.speedup == Speedup(value=1.342, low=1.29, high=1.4, outcome="faster")
    assert (third.status, third.speedup) == ("oom", None)
    assert fourth.epoch_time_s == Interval(21.5)
    assert read.warnings[0].text.endswith("7×7 convolutions want them, too")
    assert (first.phases_clock, first.not_ready_share, first.run_delay_s) == (None, None, None)
    assert "data_wait" in first.phases_s


def test_a_diagnosis_of_version_1_was_never_ours() -> None:
    """It was always null; what somebody wrote there is no reason to refuse the rest."""
    data = json.loads(FIRST.read_text(encoding="utf-8"))
    found = documents.loads(json.dumps(data | {"diagnosis": {"note": "mine"}}))
    assert found == documents.read(FIRST)


def test_the_promised_fields_are_there() -> None:
    """What others read from `--json`."""
    data = json.loads(TEXT)
    assert set(PROMISED.split()) <= set(data)
    for row in data["rows"]:
        assert set(PROMISED_OF_A_ROW.split()) <= set(row)


@given(any_document)
def test_there_and_back(document: Document) -> None:
    """Every Document comes back equal, and is written the same again."""
    text = documents.dumps(document)
    assert documents.loads(text) == document
    assert documents.dumps(documents.loads(text)) == text
    assert text.endswith("}\n")


@given(st.integers(0, len(TEXT.rstrip()) - 1))
def test_a_torn_document(length: int) -> None:
    """Wherever it ends too early, the error names it."""
    with pytest.raises(DamagedFile, match=r"^torn\.json is not JSON"):
        documents.loads(TEXT[:length], name="torn.json")


@given(st.data(), json_values)
def test_a_damaged_document(data: st.DataObject, instead: Any) -> None:
    """Any value replaced by another: it is a Document still, or an error that names the file."""
    whole = json.loads(TEXT)
    inner: Any = whole
    while True:
        keys = sorted(inner) if isinstance(inner, dict) else list(range(len(inner)))
        key = data.draw(st.sampled_from(keys))
        if not inner[key] or not isinstance(inner[key], (dict, list)) or data.draw(st.booleans()):
            break
        inner = inner[key]
    inner[key] = instead
    try:
        read = documents.loads(json.dumps(whole), name="damaged.json")
    except (DamagedFile, LaterVersion) as error:
        assert error.message.startswith("damaged.json")
    else:
        assert documents.loads(documents.dumps(read)) == read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.json is not JSON"),
        ("{'kind': 1}", "x.json is not JSON"),
        ("[" * 100_000, "x.json is not JSON"),
        ("[]", "x.json is not a perfkit document: it has no schema_version"),
        ("{}", "x.json is not a perfkit document: it has no schema_version"),
        (changed(schema_version="1"), "x.json is not a perfkit document"),
        (changed(schema_version=True), "x.json is not a perfkit document"),
        (changed(schema_version=0), "x.json is not a perfkit document"),
        (changed(rows=[{"key": "a/fp32"}]), "x.json: rows.0.arch is missing"),
        (TEXT.replace("28.134", "NaN", 1), "x.json is not JSON: NaN is no JSON number"),
        (TEXT.replace("28.134", "-Infinity", 1), "x.json is not JSON: -Infinity is no JSON number"),
        (TEXT.replace("28.134", "1e999", 1), "x.json: rows.0.epoch_time_s.value should be float"),
        (TEXT.replace("27.604", "29.0", 1), "x.json: rows.0.epoch_time_s: low 29.0 is not below"),
        (TEXT.replace('"faster"', '"great"', 1), "x.json: rows.1.speedup.outcome should be one of"),
        (
            TEXT.replace('"key": "convnext/bf16"', '"key": "convnext/fp32"'),
            "x.json: Document: rows",
        ),
    ],
)
def test_what_is_wrong_and_where(text: str, message: str) -> None:
    """The message names the file and the place in it."""
    with pytest.raises(DamagedFile) as caught:
        documents.loads(text, name="x.json")
    assert caught.value.message.startswith(message)
    assert caught.value.exit_code == EXIT_USAGE


def test_a_later_version() -> None:
    """Is refused with what to do, whatever else is in it."""
    with pytest.raises(
        LaterVersion, match="schema_version 5; this perfkit reads up to 4"
    ) as caught:
        documents.loads('{"schema_version": 5, "rows": "of another shape"}')
    assert caught.value.hint
    assert caught.value.exit_code == EXIT_USAGE


def test_unknown_fields_are_ignored() -> None:
    """A later version may add some without being another format."""
    assert documents.loads(changed(new={"a": 1})) == documents.loads(TEXT)


@pytest.mark.parametrize(
    ("low", "high"), [(None, 1.0), (1.0, None), (2.0, 1.0), (float("nan"), 1.0)]
)
def test_a_speedup_has_both_bounds_or_none(low: float | None, high: float | None) -> None:
    """In order."""
    with pytest.raises(ValueError, match=r"bounds|low"):
        Speedup(value=1.0, low=low, high=high, outcome="same")


def test_keys_are_unique() -> None:
    """A row is found by its key."""
    row = Row(key="a/fp32", arch="a", variant="fp32", status="ok")
    with pytest.raises(ValueError, match="twice"):
        Document(kind="bench", command="", created="", environment={}, base={}, rows=(row, row))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, a folder, or not text: a usage error with its name."""
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.json", tmp_path, binary):
        with pytest.raises(UsageError) as caught:
            documents.read(path)
        assert str(path) in caught.value.message


def test_text_that_is_no_utf_8(tmp_path: Path) -> None:
    """A file name of any bytes on the command line is stored, and comes back."""
    command = "perfkit bench --data folder:/" + os.fsdecode(b"caf\xe9")
    path = tmp_path / "document.json"
    document = Document(kind="bench", command=command, created="", environment={}, base={})
    documents.write(document, path)
    assert documents.read(path) == document


@pytest.mark.parametrize(
    ("number", "hint"), [(errno.ENOSPC, "free some space or name another place"), (errno.EIO, None)]
)
def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str | None
) -> None:
    """Whole, and nothing beside it."""

    def fail(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "document.json"
    documents.write(MINIMAL, path)
    with monkeypatch.context() as patch, pytest.raises(PerfkitError) as caught:
        patch.setattr(os, "fsync", fail)
        documents.write(documents.read(GOLDEN), path)
    assert (str(path) in caught.value.message, caught.value.hint) == (True, hint)
    assert documents.read(path) == MINIMAL
    assert list(tmp_path.iterdir()) == [path]


def test_a_value_that_cannot_be_stored_touches_nothing(tmp_path: Path) -> None:
    """NaN is refused before the file is opened."""
    path = tmp_path / "document.json"
    bad = Document(kind="", command="", created="", environment={"x": float("nan")}, base={})
    with pytest.raises(ValueError, match="None"):
        documents.write(bad, path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(PerfkitError, match="cannot write"):
        documents.write(MINIMAL, tmp_path / "none" / "document.json")
