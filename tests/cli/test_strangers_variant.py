"""A stranger's variant is one file in a folder of their own, and runs as a row like any other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bench_process import PLUGINS, SHORT, bench, environment, rows


def test_one_file_is_a_row_with_its_read_back(tmp_path: Path) -> None:
    """Through PERFKIT_PATH, in the children too; what it set is read back from the optimizer."""
    arguments = ["--arch", "tiny", "--variant", "half_rate", "--learning-rate", "0.25", *SHORT]
    code, out, err = bench(tmp_path, *arguments, "--json", "out.json")
    assert code == 0, err
    found = rows(tmp_path / "out.json")
    assert list(found) == ["tiny/fp32", "tiny/fp32+half_rate"]
    plain, halved = found.values()
    assert (plain["status"], halved["status"]) == ("ok", "ok")
    assert halved["effective"]["half_rate"] == "0.125"
    assert "half_rate" not in plain["effective"]
    assert halved["steps_measured"] > 0 and halved["speedup"]["outcome"] == "inconclusive"
    assert "tiny/fp32+half_rate" in out


def test_it_joins_others(tmp_path: Path) -> None:
    """In one row with a variant of ours, under its canonical key, whatever order was written."""
    text = "half_rate+batch_size=8+bf16"
    arguments = ["--arch", "tiny", "--variant", text, *SHORT, "--json", "out.json"]
    code, _, err = bench(tmp_path, *arguments)
    assert code == 0, err
    row = rows(tmp_path / "out.json")["tiny/bf16+batch_size=8+half_rate"]
    assert row["status"] == "ok" and row["effective"]["half_rate"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"""A change."""\nraise OSError("planted")\n', "cannot be imported: OSError: planted"),
        ("STAGE = 'model'\n", "has no docstring"),
        ('"""A change."""\nSTAGE = "sometime"\n', "STAGE is 'sometime'"),
    ],
)
def test_a_file_that_breaks_the_contract_is_named(tmp_path: Path, text: str, message: str) -> None:
    """A usage error that says what is wrong with which file, without a traceback."""
    path = tmp_path / "plugins" / "variants" / "own.py"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    env = environment(PERFKIT_PATH=f"{tmp_path / 'plugins'}:{PLUGINS}")
    code, _, err = bench(tmp_path, "--arch", "tiny", "--variant", "own", env=env)
    assert code == 2
    assert message in err and re.search(r"\bown\b", err)
    assert "Traceback" not in err
