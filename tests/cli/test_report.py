"""`perfkit report`: which run is meant, and where the report goes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from bench_command import Told
from report_diagnoses import CONTENDED, UNFINISHED, VERIFIED
from report_documents import BATCHES, DEVICE_CLOCK, INTERRUPTED, LOST_PART, TWO_ROWS
from report_study import make

import perfkit
from perfkit import documentfile as documents
from perfkit.document import Document
from perfkit.errors import UsageError
from perfkit.report import console
from perfkit.report.stored import StoredAnswer


def add(name: str, shown: Document) -> None:
    """Add a study to the folder."""
    make(Path(".perfkit") / name, shown)


def test_without_a_name_the_latest_goes_to_stdout(report: Callable[..., Told]) -> None:
    """No RUN and no file: Markdown without plots, nothing on stderr, nothing written."""
    add("20260102T000000Z-bench", replace(TWO_ROWS, command="perfkit bench --later"))
    code, out, err = report()
    assert (code, err) == (0, "")
    assert out.startswith("## perfkit bench\n") and "--later" in out
    assert "![" not in out
    assert os.listdir() == [".perfkit"]
    assert report("latest") == report() == report("-o", "-")


def test_markdown_comes_with_plots_beside_it(report: Callable[..., Told]) -> None:
    """Every image that is linked lies beside the file, and stderr names what was written."""
    Path("out").mkdir()
    code, out, err = report("latest", "-o", "out/report.md")
    assert (code, out) == (0, "")
    text = Path("out/report.md").read_text(encoding="utf-8")
    names = [f"report-{name}.png" for name in ("epoch-time", "memory", "phases", "step-times")]
    assert sorted(os.listdir("out")) == sorted([*names, "report.md"])
    for name in names:
        assert f"]({name})" in text
        assert f"wrote out/{name}\n" in err
    assert err.endswith("wrote out/report.md\n")


@pytest.mark.parametrize("form", ["folder", "document", "copy"])
def test_a_run_is_a_folder_or_a_file(report: Callable[..., Told], form: str) -> None:
    """A study by its folder or its document has its steps; a Document elsewhere has none, and says so."""
    study = Path(".perfkit/20260101T000000Z-bench")
    Path("copy.json").write_bytes((study / "document.json").read_bytes())
    name = {"folder": str(study), "document": str(study / "document.json"), "copy": "copy.json"}[
        form
    ]
    assert report(name, "-o", "report.md")[0] == 0
    text = Path("report.md").read_text(encoding="utf-8")
    assert Path("report-step-times.png").exists() == (form != "copy")
    assert ("plot of step times over the run: the document does not lie" in text) == (
        form == "copy"
    )


def test_several_runs_are_sections(report: Callable[..., Told]) -> None:
    """Sections in the order of the arguments, each with plots of its own."""
    add("20260102T000000Z-bench", INTERRUPTED)
    code, _, _ = report("latest", ".perfkit/20260101T000000Z-bench", "-o", "both.md")
    text = Path("both.md").read_text(encoding="utf-8")
    assert code == 0
    first, second = (f"`2026010{day}T000000Z-bench`" for day in (2, 1))
    assert 0 < text.index(first) < text.index("both-1-epoch-time.png") < text.index(second)
    assert text.index(second) < text.index("both-2-epoch-time.png")
    assert Path("both-1-phases.png").exists() and Path("both-2-step-times.png").exists()


@pytest.mark.parametrize("shown", [BATCHES, DEVICE_CLOCK, LOST_PART], ids=["cpu", "gpu", "lost"])
def test_every_format_takes_what_a_row_may_hold(
    report: Callable[..., Told], shown: Document
) -> None:
    """Waits told apart, phases on a device's clock, a lost part: each is a report, plots and all."""
    add("20260102T000000Z-bench", shown)
    assert report("latest", "-o", "report.md")[0] == 0
    text = Path("report.md").read_text(encoding="utf-8")
    assert "](report-epoch-time.png)" in text and "](report-phases.png)" in text
    assert "None" not in text
    for format in ("csv", "summary"):
        code, out, err = report("latest", "--format", format)
        assert (code, err) == (0, "")
        assert "None" not in out and shown.rows[1].key in out


@pytest.mark.parametrize("shown", [VERIFIED, CONTENDED, UNFINISHED], ids=["verified", "cpu", "cut"])
def test_every_format_takes_a_diagnosis(report: Callable[..., Told], shown: Document) -> None:
    """By the same command: Markdown with its own plots, a line of CSV, a summary."""
    add("20260102T000000Z-diagnose", shown)
    code, _, err = report("latest", "-o", "report.md")
    assert code == 0
    text = Path("report.md").read_text(encoding="utf-8")
    assert text.startswith("## perfkit diagnose\n") and "None" not in text
    for name in ("epoch-breakdown", "remedies"):
        is_drawn = os.path.exists(f"report-{name}.png")
        assert is_drawn == (f"](report-{name}.png)" in text) == (f"report-{name}" in err)
    assert os.path.exists("report-remedies.png") == (shown is VERIFIED)
    assert not os.path.exists("report-memory.png")
    code, out, err = report("latest", "--format", "csv")
    assert (code, err) == (0, "") and "None" not in out
    assert list(pd.read_csv(io.StringIO(out))["diagnosis_primary"]) == [shown.diagnosis.primary]  # type: ignore[union-attr]
    code, out, _ = report("latest", "--format", "summary")
    assert code == 0 and "- **Verdict**: " in out and "None" not in out


def test_csv_by_name_or_by_flag(report: Callable[..., Told]) -> None:
    """A name that ends in .csv asks for CSV; on stdout a flag does."""
    assert report("-o", "rows.csv")[0] == 0
    _, out, _ = report("--format", "csv")
    assert Path("rows.csv").read_text(encoding="utf-8") == out
    assert list(pd.read_csv(io.StringIO(out))["key"]) == ["convnext/fp32", "convnext/amp"]
    assert os.path.exists("rows-epoch-time.png") is False


def test_a_summary_is_added_to_the_page(report: Callable[..., Told]) -> None:
    """A CI job's steps share a file: what stands there stays, and a summary has no plots."""
    page = Path("page")
    page.write_text("before\n")
    assert report("--format", "summary", "-o", "page")[0] == 0
    _, out, _ = report("--format", "summary")
    assert page.read_text(encoding="utf-8") == f"before\n\n{out}"
    assert report("--format", "summary", "-o", "new.md")[0] == 0
    assert Path("new.md").read_text(encoding="utf-8") == out
    assert not list(Path().glob("*.png"))


def test_the_flag_goes_before_the_name(report: Callable[..., Told]) -> None:
    """--format decides, whatever the file is called."""
    assert report("--format", "markdown", "-o", "report.html")[0] == 0
    assert Path("report.html").read_text(encoding="utf-8").startswith("## perfkit bench")


def test_a_report_is_replaced_whole(report: Callable[..., Told]) -> None:
    """An older report is gone, and no temporary file stays."""
    Path("report.md").write_text("old " * 100_000)
    assert report("-o", "report.md")[0] == 0
    assert "old old" not in Path("report.md").read_text(encoding="utf-8")
    assert not [name for name in os.listdir() if name.startswith(".report")]


def _in_process(folder: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[bytes]:
    code = "import sys; from perfkit.cli.main import main; sys.argv = ['perfkit', *sys.argv[1:]]; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "report", *arguments],
        cwd=folder,
        env={**os.environ, **extra},
        capture_output=True,
    )


def test_stdout_of_another_encoding_gets_utf8(tmp_path: Path) -> None:
    """Where stdout is said to be ASCII, Markdown is what it is in a file."""
    make(tmp_path / ".perfkit" / "20260101T000000Z-bench", TWO_ROWS)
    done = _in_process(tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "1.34× as fast" in done.stdout.decode("utf-8")


def test_a_reader_that_has_left_is_no_error(tmp_path: Path) -> None:
    """`perfkit report | head -1` ends quietly."""
    make(tmp_path / ".perfkit" / "20260101T000000Z-bench", TWO_ROWS)
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "perfkit", "report"],
            cwd=tmp_path,
            stdout=gone,
            stderr=subprocess.PIPE,
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_text_alone_loads_no_plots(tmp_path: Path) -> None:
    """Markdown to stdout needs neither matplotlib nor pandas; pandas comes with a frame, torch never."""
    make(tmp_path / ".perfkit" / "20260101T000000Z-bench", TWO_ROWS)
    code = (
        "import sys\n"
        "sys.argv = ['perfkit', 'report']\n"
        "from perfkit.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as leave:\n    assert not leave.code\n"
        "import perfkit\n"
        "run = perfkit.read('latest')\n"
        "def loaded(): return [m for m in ('matplotlib', 'pandas', 'torch') if m in sys.modules]\n"
        "before = loaded()\n"
        "run.frame()\n"
        "sys.stderr.write(str((before, loaded())))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "([], ['pandas'])")


def test_a_run_is_read_by_a_script(report: Callable[..., Told], tmp_path: Path) -> None:
    """By its folder, a file in it or elsewhere, or as the latest: one line per row, SI units in the heads."""
    study = Path(".perfkit/20260101T000000Z-bench")
    copy = tmp_path / "copy.json"
    copy.write_bytes((study / "document.json").read_bytes())
    for name in ("latest", str(study), study, study / "document.json", copy):
        found = perfkit.read(name).frame()
        assert list(found["key"]) == [row.key for row in TWO_ROWS.rows]
        assert list(found["epoch_time_s"]) == [28.1, 20.94]
        assert list(found["peak_rss_bytes"]) == [row.peak_rss_bytes for row in TWO_ROWS.rows]
    with pytest.raises(UsageError, match="there is no study nowhere"):
        perfkit.read("nowhere")


def test_what_a_command_printed_can_be_had_again(report: Callable[..., Told]) -> None:
    """`--format console` is its own table and answer."""
    Path("run.json").write_text(documents.dumps(TWO_ROWS))
    code, out, _ = report("run.json", "--format", "console")
    assert code == 0 and out == console.report([StoredAnswer(name="run.json", document=TWO_ROWS)])
    assert "convnext/fp32" in out and "\x1b" not in out
