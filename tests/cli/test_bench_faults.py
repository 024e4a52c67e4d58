"""Faults with real processes: each is a row, the others are measured, nothing is left running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bench_here import bench_here
from bench_process import SHORT, alive, all_gone, environment, rows, start, study, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_a_fault_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception in a row: it says so, the others are measured, exit code 1, no traceback.

    Batches that are no pairs say what they are, and what would help.
    """
    asked = [flag for arch in ("tiny", "raises", "dictionaries") for flag in ("--arch", arch)]
    code, out, err = bench_here(monkeypatch, capsys, tmp_path, *asked, *SHORT, "--json", "out.json")
    found = rows(tmp_path / "out.json")
    failed = [found[f"{arch}/fp32"] for arch in ("raises", "dictionaries")]
    assert (code, [row["status"] for row in failed]) == (1, ["error", "error"])
    assert "planted: the model raises" in failed[0]["message"]
    assert "images, classes" in failed[1]["message"] and "collate" in failed[1]["message"]
    assert found["tiny/fp32"]["status"] == "ok"
    assert found["tiny/fp32"]["step_time_s"]["median"] > 0
    assert "Traceback" not in out + err
    assert all_gone(tmp_path)


def test_a_lost_worker_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A loader worker killed from outside ends its row as killed, not as a hang."""
    arguments = [*SHORT[:-1], "1", "--arch", "loses_a_worker"]
    code, _, _ = bench_here(monkeypatch, capsys, tmp_path, *arguments, "--json", "out.json")
    row = rows(tmp_path / "out.json")["loses_a_worker/fp32"]
    assert (code, row["status"]) == (1, "killed"), row["message"]
    assert "a loader worker died" in row["message"]
    assert all_gone(tmp_path)


def test_a_killed_child_is_a_row(tmp_path: Path) -> None:
    """kill -9 of one training process: its row says so, the other is measured to the end."""
    # one that cannot have ended before it is killed
    arguments = ["--arch", "tiny", "--arch", "hangs", *SHORT, "--json", "out.json"]
    child = start(tmp_path, *arguments)
    wait_for(lambda: any("processes/1-1" in line for line in alive(tmp_path)))
    os.kill(_pid_of(tmp_path, "processes/1-1"), signal.SIGKILL)
    child.communicate(timeout=240)
    found = rows(tmp_path / "out.json")
    assert child.returncode == 1
    assert (found["tiny/fp32"]["status"], found["tiny/fp32"]["generations"]) == ("ok", 1)
    assert (found["hangs/fp32"]["status"], found["hangs/fp32"]["generations"]) == ("killed", 0)
    assert all_gone(tmp_path)


# SIGTERM stands for Ctrl-C, too: test_signals.py shows that they are made one
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_the_end_of_the_parent_is_the_end_of_all(tmp_path: Path, blow: signal.Signals) -> None:
    """No child or worker outlives perfkit, stopped or running; what was measured is in the Document."""
    arguments = ["--arch", "tiny", "--num-workers", "1", "--steps", "20", "--num-samples", "320"]
    # more of them than will ever be: whenever the blow falls, one is running
    child = start(tmp_path, *arguments, "--generations", "100")
    wait_for(lambda: list(tmp_path.glob(".perfkit/*/generations/1.json")))
    wait_for(
        lambda: any("player" in line and "processes/1-" not in line for line in alive(tmp_path))
    )
    child.send_signal(blow)
    child.communicate(timeout=180)
    assert all_gone(tmp_path)
    assert child.returncode == (-signal.SIGKILL if blow == signal.SIGKILL else 130)
    kept = rows(study(tmp_path) / "document.json")
    assert kept["tiny/fp32"]["generations"] >= 1


def test_two_benches_at_once_do_not_mix(tmp_path: Path) -> None:
    """Two benches started in one second in one folder have studies of their own, both whole."""
    children = [start(tmp_path, "--arch", "tiny", *SHORT, "--json", f"{n}.json") for n in range(2)]
    for child in children:
        child.communicate(timeout=240)
        assert child.returncode == 0
    assert len([p for p in (tmp_path / ".perfkit").iterdir() if p.is_dir()]) == 2
    assert all(rows(tmp_path / f"{n}.json")["tiny/fp32"]["status"] == "ok" for n in range(2))


def test_a_full_disk_keeps_what_was_measured(tmp_path: Path) -> None:
    """A file-size limit stands in for a full disk: the row says that there was no space to record to.

    Nothing of it is stored as failed for good.
    """
    # a limit on file sizes would also cut what Python compiles
    limited = environment(PYTHONDONTWRITEBYTECODE="1")
    arguments = ["--arch", "tiny", *SHORT, "--steps", "1000", "--json", "out.json"]
    script = f"ulimit -f 64; exec {sys.executable} -m perfkit bench {' '.join(arguments)}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=limited, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    found = rows(tmp_path / "out.json")["tiny/fp32"]
    assert found["status"] == "error" and "no space" in found["message"]
    assert not list((study(tmp_path) / "generations").iterdir())


def _pid_of(folder: Path, part: str) -> int:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_text()
            here = (entry / "cwd").resolve() == folder.resolve()
            if here and part in line and "player" in line:
                return int(entry.name)
    raise AssertionError(f"no process of {part}")
