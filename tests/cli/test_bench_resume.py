"""Going on: with a study that somebody is running, after a full disk, with a workload that stalls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench_process import SHORT, all_gone, bench, environment, rows, start, study, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_a_study_that_is_running_is_not_resumed(tmp_path: Path) -> None:
    """The second perfkit is refused, and the first one's processes are left alone."""
    arguments = ["--arch", "tiny", "--num-workers", "0", "--steps", "2000", "--generations", "3"]
    first = start(tmp_path, *arguments, "--json", "out.json")
    wait_for(lambda: list(tmp_path.glob(".perfkit/*/processes/1-0/ranks/0/steps.bin")))
    code, _, err = bench(tmp_path, "--resume", "latest")
    assert code == 2
    assert "is being run by another perfkit" in err
    first.communicate(timeout=240)
    assert first.returncode == 0
    assert rows(tmp_path / "out.json")["tiny/fp32"]["generations"] == 3


def test_a_full_disk_is_gone_on_from(tmp_path: Path) -> None:
    """A generation that could not be written down is run again once there is space."""
    limited = environment(PYTHONDONTWRITEBYTECODE="1")
    arguments = ["--arch", "tiny", *SHORT, "--steps", "4000"]
    script = f"ulimit -f 256; exec {sys.executable} -m perfkit bench {' '.join(arguments)}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=limited, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert not list((study(tmp_path) / "generations").iterdir())
    code, out, err = bench(tmp_path, "--resume", "latest", "--json", "out.json")
    assert code == 0, out + err
    assert rows(tmp_path / "out.json")["tiny/fp32"]["generations"] == 1


def test_a_factory_that_never_returns_is_a_row(tmp_path: Path) -> None:
    """Nobody waits for it longer than the limit, before the rows or in its row; the others are measured."""
    arguments = ["--arch", "tiny", "--arch", "stalls", *SHORT, "--timeout", "8"]
    code, _, err = bench(tmp_path, *arguments, "--json", "out.json")
    found = rows(tmp_path / "out.json")
    assert (code, found["tiny/fp32"]["status"]) == (1, "ok"), err
    assert found["stalls/fp32"]["status"] == "timeout"
    assert all_gone(tmp_path)


def test_batches_that_are_no_pairs_say_what_they_are(tmp_path: Path) -> None:
    """The row names the keys, and what would help."""
    code, _, _ = bench(tmp_path, "--arch", "dictionaries", *SHORT, "--json", "out.json")
    row = rows(tmp_path / "out.json")["dictionaries/fp32"]
    assert (code, row["status"]) == (1, "error")
    assert "images, classes" in row["message"] and "collate" in row["message"]
