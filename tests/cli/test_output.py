"""Where an answer goes: table, Document, colour, width, and a reader that has left."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench_command import perform
from bench_process import PLUGINS, SHORT, bench, environment
from fake_engine import FakeEngine
from report_documents import document, reference

from perfkit import documentfile as documents
from perfkit.cli.output import check_json_target, write_answer
from perfkit.engine.questions import survey
from perfkit.errors import UsageError

ESCAPE = "\x1b"
WANTED = (
    "schema_version", "kind", "command", "environment", "base", "warnings", "unavailable", "diagnosis",
    "rows",
)  # fmt: skip
WANTED_OF_A_ROW = (
    "key", "arch", "variant", "status", "message", "epoch_time_s", "step_time_s", "phases_s",
    "samples_per_sec", "speedup", "memory_ratio", "peak_allocated_bytes", "peak_reserved_bytes",
    "peak_rss_bytes", "gpu_util_share", "mfu", "gemm_ceiling_share", "effective", "overhead_share",
    "generations", "steps_measured", "unavailable",
)  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished study: resuming it gives its answer again without measuring."""
    folder = tmp_path_factory.mktemp("measured")
    engine = FakeEngine({"tiny/fp32": 0.01, "tiny/amp": 0.008})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PERFKIT_PATH", str(PLUGINS))
        here = survey(None)["environment"]
        assert perform(patch, engine, "--arch", "tiny", "--amp", *SHORT, environment=here) == 0
    return folder


def test_a_document_on_stdout_is_nothing_else(measured: Path) -> None:
    """`--json -`: stdout parses as a whole, and the table is on stderr, for people."""
    code, out, err = bench(measured, "--resume", "latest", "--json", "-")
    assert code == 0
    told = json.loads(out)
    assert "Configuration" in err and "tiny/amp" in err
    assert all(name in told for name in WANTED)
    for row in told["rows"]:
        assert all(name in row for name in WANTED_OF_A_ROW)
        assert row["step_time_s"].keys() == {"median", "p10", "p90"}
        assert row["speedup"].keys() == {"value", "low", "high", "outcome"}
        for name in ("mfu", "gpu_util_share", "peak_allocated_bytes"):
            assert row[name] is not None or row["unavailable"][name]


def test_on_sixty_columns_no_line_is_longer(measured: Path) -> None:
    """The whole answer fits, in a pipe and without escape codes."""
    narrow = environment(COLUMNS="60")
    code, out, err = bench(measured, "--resume", "latest", "--json", "out.json", env=narrow)
    assert code == 0
    lines = out.splitlines()
    assert len(lines) > 10
    assert max(len(line) for line in lines) <= 60
    assert ESCAPE not in out + err
    assert documents.read(measured / "out.json").complete


@pytest.mark.parametrize("target", ["out.json", "-"])
def test_a_reader_that_has_left_is_no_error(measured: Path, target: str) -> None:
    """`perfkit bench | head -1`: the rows decide the exit code, and the file is written all the same."""
    reading, writing = os.pipe()
    os.close(reading)
    child = subprocess.Popen(
        [sys.executable, "-m", "perfkit", "bench", "--resume", "latest", "--json", target],
        cwd=measured,
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    _, err = child.communicate(timeout=120)
    assert child.returncode == 0
    assert "Traceback" not in err and "Broken" not in err
    assert "stored in" in err
    assert target == "-" or documents.read(measured / target).rows


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("welcome", [True, False], ids=["terminal", "NO_COLOR"])
def test_colour_at_a_terminal_unless_it_is_unwelcome(measured: Path, welcome: bool) -> None:
    """At a terminal the answer is in colour; with NO_COLOR neither colour nor a spinner is seen."""
    ours, theirs = os.openpty()
    extra = {"TERM": "xterm-256color"} | ({} if welcome else {"NO_COLOR": "1"})
    child = subprocess.Popen(
        [sys.executable, "-m", "perfkit", "bench", "--resume", "latest"],
        cwd=measured,
        env=environment(**extra),
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = _all_of(ours)
    assert child.wait(60) == 0
    assert "Configuration" in re.sub(r"\x1b\[[\d;?]*\w", "", shown)
    assert (ESCAPE in shown) == welcome


def _all_of(terminal: int) -> str:
    """Read a pseudo-terminal until its other side is closed, which Linux tells by an error."""
    parts = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:
        pass
    os.close(terminal)
    return b"".join(parts).decode()


def test_the_answer_and_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a path the table is on stdout, and the file holds the same Document."""
    answer = document(reference())
    write_answer(answer, str(tmp_path / "out.json"))
    told = capsys.readouterr()
    assert "Configuration" in told.out and told.err == ""
    assert documents.read(tmp_path / "out.json") == answer


def test_the_other_way_round(capsys: pytest.CaptureFixture[str]) -> None:
    """With `-` the Document is on stdout, and the table on stderr."""
    answer = document(reference())
    write_answer(answer, "-")
    told = capsys.readouterr()
    assert documents.loads(told.out) == answer
    assert "Configuration" in told.err


def test_a_target_that_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing folder, and a folder in a file's place, before anything is measured."""
    monkeypatch.chdir(tmp_path)
    for target in (None, "-", "out.json", str(tmp_path / "out.json")):
        check_json_target(target)
    for target in ("missing/out.json", ".", str(tmp_path)):
        with pytest.raises(UsageError, match="--json"):
            check_json_target(target)
