"""`perfkit report`: what cannot be reported or written is told with what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bench_command import Told
from report_documents import TWO_ROWS

from perfkit import documentfile as documents
from perfkit.document import SCHEMA_VERSION
from perfkit.study.attached.answer import Head, document_of


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["nowhere"], "there is no study nowhere", "latest"),
        (["empty"], "empty holds no answer", "--resume empty"),
        (["damaged.json"], "damaged.json is not JSON", "--json wrote"),
        (["other.json"], "not a perfkit document", "--json wrote"),
        (["later.json"], f"reads up to {SCHEMA_VERSION}", "a later one"),
        (["norows.json"], "has no rows", "perfkit bench or perfkit diagnose"),
        (["latest", "-o", "nowhere/report.md"], "no such folder", "report.md"),
        (["latest", "-o", "empty"], "is a folder", "report.md"),
        (["latest", "-o", "report.html"], "end in .html", "--format"),
        (["latest", "--format", "html"], "no such format", "markdown, csv, summary"),
        (["latest", "-o", "damaged.json/report.md"], "no such folder", "report.md"),
    ],
)
def test_what_cannot_be_done_is_told(
    report: Callable[..., Told], arguments: list[str], message: str, hint: str
) -> None:
    """A message, a hint, exit code 2, and nothing written."""
    Path("empty").mkdir()
    text = documents.dumps(TWO_ROWS)
    Path("damaged.json").write_text(text[:200])
    Path("other.json").write_text("{}")
    Path("later.json").write_text(json.dumps({**json.loads(text), "schema_version": 99}))
    Path("norows.json").write_text(documents.dumps(replace(TWO_ROWS, kind="doctor", rows=())))
    before = sorted(os.listdir())
    code, out, err = report(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and message in err.split("\n")[0]
    assert err.split("\n")[1].startswith("hint: ") and hint in err.split("\n")[1]
    assert sorted(os.listdir()) == before


def test_no_study_at_all(report: Callable[..., Told], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder where nothing was measured, the hint is to measure."""
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    code, _, err = report()
    assert code == 2
    assert "there is no study" in err and "hint: run `perfkit bench` first" in err


def test_a_folder_without_permission(
    report: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a user may not write, the answer comes before any work is done."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    code, _, err = report("-o", "report.md")
    assert code == 2
    assert "you may not write to" in err and "hint:" in err


def test_a_full_disk_is_no_traceback(report: Callable[..., Told]) -> None:
    """What cannot be added to is told with the reason."""
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    code, _, err = report("--format", "summary", "-o", "/dev/full")
    assert code == 1
    assert "error: cannot write /dev/full: No space left on device" in err


def test_a_watched_command_in_which_nothing_trained(report: Callable[..., Told]) -> None:
    """It says what the study says, whether its answer was written or not."""
    for name in ("20261127T000000Z-run", "20261127T000001Z-run-2"):
        Path(".perfkit", name, "processes").mkdir(parents=True)
    head = Head.now("perfkit run -- true", ".perfkit/20261127T000000Z-run")
    nothing = document_of([], head, elapsed_s=1.0, complete=True)
    documents.write(nothing, Path(".perfkit/20261127T000000Z-run/document.json"))
    for name in (".perfkit/20261127T000000Z-run", "latest"):
        code, out, err = report(name)
        assert (code, out) == (2, "")
        assert "nothing trained here that perfkit can see" in err
        assert "hint: perfkit run -- COMMAND" in err
