"""Faults with real processes: each is a row, the others are measured, nothing is left running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bench_process import SHORT, alive, all_gone, bench, environment, rows, start, study, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_every_fault_is_a_row(tmp_path: Path) -> None:
    """Exhausted memory, a hang, an exception, garbage on stdout, a kill, NaN: typed rows and exit code 1."""
    planted = {
        "tiny": "ok",
        "exhausts": "oom",
        "hangs": "timeout",
        "raises": "error",
        "chatters": "ok",
        "dies": "killed",
        "not_a_number": "nan_loss",
    }
    archs = [word for name in planted for word in ("--arch", name)]
    code, out, err = bench(tmp_path, *archs, *SHORT, "--timeout", "12", "--json", "out.json")
    found = rows(tmp_path / "out.json")
    assert {key.split("/")[0]: row["status"] for key, row in found.items()} == planted
    assert code == 1
    assert found["tiny/fp32"]["step_time_s"]["median"] > 0
    assert found["chatters/fp32"]["steps_measured"] > 0
    assert "planted: the model raises" in found["raises/fp32"]["message"]
    assert "SIGKILL" in found["dies/fp32"]["message"]
    assert "Traceback" not in out + err
    assert all_gone(tmp_path)


def test_a_lost_worker_is_a_row(tmp_path: Path) -> None:
    """A loader worker killed from outside ends its row as killed, not as a hang."""
    arguments = [*SHORT[:-1], "1", "--arch", "tiny", "--arch", "loses_a_worker"]
    code, _, _ = bench(tmp_path, *arguments, "--json", "out.json")
    found = rows(tmp_path / "out.json")
    assert (code, found["tiny/fp32"]["status"]) == (1, "ok")
    assert found["loses_a_worker/fp32"]["status"] == "killed"
    assert "worker" in found["loses_a_worker/fp32"]["message"]
    assert all_gone(tmp_path)


def test_a_killed_child_is_a_row(tmp_path: Path) -> None:
    """kill -9 of one training process: its row says so, the other is measured to the end."""
    arguments = ["--arch", "tiny", "--amp", "--steps", "2000", "--generations", "2"]
    child = start(tmp_path, *arguments, "--num-workers", "0", "--json", "out.json")
    wait_for(lambda: any("processes/2-1" in line for line in alive(tmp_path)))
    os.kill(_pid_of(tmp_path, "processes/2-1"), signal.SIGKILL)
    child.communicate(timeout=240)
    found = rows(tmp_path / "out.json")
    assert child.returncode == 1
    assert (found["tiny/fp32"]["status"], found["tiny/fp32"]["generations"]) == ("ok", 2)
    assert (found["tiny/amp"]["status"], found["tiny/amp"]["generations"]) == ("killed", 1)
    assert all_gone(tmp_path)


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_the_end_of_the_parent_is_the_end_of_all_and_resume_goes_on(
    tmp_path: Path, blow: signal.Signals
) -> None:
    """No child or worker outlives perfkit, stopped or running; what was measured is resumed from."""
    arguments = ["--arch", "tiny", "--amp", "--num-workers", "1", "--steps", "300"]
    child = start(tmp_path, *arguments, "--generations", "2", "--num-samples", "320")
    wait_for(lambda: list(tmp_path.glob(".perfkit/*/generations/1.json")))
    wait_for(lambda: sum("processes/2-" in line for line in alive(tmp_path)) >= 2)
    child.send_signal(blow)
    child.communicate(timeout=180)
    assert all_gone(tmp_path)
    assert child.returncode == (-signal.SIGKILL if blow == signal.SIGKILL else 130)
    kept = rows(study(tmp_path) / "document.json")
    assert kept["tiny/fp32"]["generations"] == 1
    code, out, _ = bench(tmp_path, "--resume", "latest", "--json", "out.json")
    assert code == 0, out
    assert rows(tmp_path / "out.json")["tiny/amp"]["generations"] == 2


def test_another_environment_is_refused(tmp_path: Path) -> None:
    """Figures of two environments do not mix: resume says what has changed."""
    assert bench(tmp_path, "--arch", "tiny", *SHORT)[0] == 0
    stored = study(tmp_path) / "study.json"
    text = stored.read_text()
    assert '"torch": "' in text
    stored.write_text(text.replace('"torch": "', '"torch": "0.'))
    code, _, err = bench(tmp_path, "--resume", "latest")
    assert code == 2
    assert "another environment" in err and "torch" in err


def test_two_benches_at_once_do_not_mix(tmp_path: Path) -> None:
    """Two benches started in one second in one folder have studies of their own, both whole."""
    children = [start(tmp_path, "--arch", "tiny", *SHORT, "--json", f"{n}.json") for n in range(2)]
    for child in children:
        child.communicate(timeout=240)
        assert child.returncode == 0
    assert len([p for p in (tmp_path / ".perfkit").iterdir() if p.is_dir()]) == 2
    assert all(rows(tmp_path / f"{n}.json")["tiny/fp32"]["status"] == "ok" for n in range(2))


def test_a_full_disk_keeps_what_was_measured(tmp_path: Path) -> None:
    """A file-size limit stands in for a full disk: the row says that there was no space to record to."""
    # a limit on file sizes would also cut what Python compiles
    limited = environment(PYTHONDONTWRITEBYTECODE="1")
    arguments = ["--arch", "tiny", *SHORT, "--steps", "4000", "--json", "out.json"]
    script = f"ulimit -f 256; exec {sys.executable} -m perfkit bench {' '.join(arguments)}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=limited, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    found = rows(tmp_path / "out.json")["tiny/fp32"]
    assert found["status"] == "error" and "no space" in found["message"]


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
