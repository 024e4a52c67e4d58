"""A stranger's variant is one file in a folder of their own, and runs as a row like any other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bench_command import perform
from bench_here import bench_here
from bench_process import PLUGINS, SHORT, rows
from fake_engine import FakeEngine


def test_one_file_is_a_row_with_its_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through PERFKIT_PATH, in the children too; what it set is read back from the optimizer.

    It joins variants of ours in one row, under its canonical key, whatever order was written.
    """
    asked = ["--variant", "half_rate", "--variant", "half_rate+batch_size=8+bf16"]
    arguments = ["--arch", "tiny", *asked, "--learning-rate", "0.25", *SHORT]
    code, out, err = bench_here(monkeypatch, capsys, tmp_path, *arguments, "--json", "out.json")
    assert code == 0, err
    found = rows(tmp_path / "out.json")
    joined = "tiny/bf16+batch_size=8+half_rate"
    assert list(found) == ["tiny/fp32", "tiny/fp32+half_rate", joined]
    assert {row["status"] for row in found.values()} == {"ok"}
    plain, halved, of_three = found.values()
    assert halved["effective"]["half_rate"] == of_three["effective"]["half_rate"] == "0.125"
    assert "half_rate" not in plain["effective"]
    assert halved["steps_measured"] > 0 and halved["speedup"]["outcome"] == "inconclusive"
    assert "tiny/fp32+half_rate" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"""A change."""\nraise OSError("planted")\n', "cannot be imported: OSError: planted"),
        ("STAGE = 'model'\n", "has no docstring"),
        ('"""A change."""\nSTAGE = "sometime"\n', "STAGE is 'sometime'"),
    ],
)
def test_a_file_that_breaks_the_contract_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    message: str,
) -> None:
    """A usage error that says what is wrong with which file, without a traceback."""
    path = tmp_path / "plugins" / "variants" / "own.py"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERFKIT_PATH", f"{tmp_path / 'plugins'}:{PLUGINS}")
    code = perform(monkeypatch, FakeEngine({}), "--arch", "tiny", "--variant", "own")
    err = capsys.readouterr().err
    assert code == 2
    assert message in err and re.search(r"\bown\b", err)
    assert "Traceback" not in err
