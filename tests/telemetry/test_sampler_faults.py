"""The sampler's child when things go wrong around it: each with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_process import wait_for

from perfkit.jsonlines import JsonLines
from perfkit.telemetry import nvml, sampler, start
from perfkit.telemetry.start import Sampler
from perfkit.telemetry.windows import average

INTERVAL_S = 0.02
ALWAYS = [(0, 2**63)]
PARENT = """
import sys, time
from pathlib import Path
from perfkit.telemetry.start import Sampler
sampler = Sampler(Path(sys.argv[1]), sys.argv[2:], interval_s=0.02)
sampler.start()
print(sampler.pid, flush=True)
time.sleep(600)
"""
HANGING = """
import time
def nvmlInit():
    open("reached", "w").close()
    time.sleep(600)
"""
"""What stands for a driver that never answers; no machine has one on demand."""

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="told by /proc and Linux's signals")


class Ticks(threading.Event):
    """Is set after some times of being waited for."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._left = count

    def wait(self, timeout: float | None = None) -> bool:
        self._left -= 1
        return self._left < 0


def lines(path: Path) -> int:
    return len(list(JsonLines(path).read()))


def state(pid: int) -> str:
    """The state letter of a process, empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def gone(pid: int) -> bool:
    """Whether a process has ended, also when nobody has waited for it."""
    return state(pid) in ("", "Z")


@pytest.fixture
def hanging_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Put a `pynvml` in the child's way whose first call never returns; says whether it was called."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "pynvml.py").write_text(HANGING)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(modules), os.environ.get("PYTHONPATH", "")])
    )
    return (tmp_path / "reached").exists


def start_in_a_parent(folder: Path, *uuids: str) -> tuple[subprocess.Popen[str], int]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), *uuids], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout as out:
        return parent, int(out.readline())


def kill(parent: subprocess.Popen[str]) -> None:
    parent.kill()
    parent.wait()


@linux_only
def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """After `kill -9` of the parent nothing is left running, and the samples can be read."""
    parent, pid = start_in_a_parent(tmp_path)
    try:
        wait_for(lambda: lines(tmp_path / "samples.jsonl") > 2)
        assert not gone(pid)
    finally:
        kill(parent)
    wait_for(lambda: gone(pid), 10)
    assert average([tmp_path / "samples.jsonl"], ALWAYS).samples > 0


@linux_only
def test_a_driver_that_hangs_does_not_keep_it_alive(
    tmp_path: Path, hanging_driver: Callable[[], bool]
) -> None:
    """A call that never returns does not let the child outlive its parent."""
    parent, pid = start_in_a_parent(tmp_path, "GPU-0")
    try:
        wait_for(hanging_driver)
        assert not gone(pid)
    finally:
        kill(parent)
    wait_for(lambda: gone(pid), 10)


@linux_only
def test_a_driver_that_hangs_does_not_keep_us_waiting(
    tmp_path: Path, hanging_driver: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that does not end when told is killed."""
    monkeypatch.setattr(start, "STOP_TIMEOUT_S", 0.1)
    with Sampler(tmp_path, ["GPU-0"], interval_s=INTERVAL_S) as running:
        wait_for(hanging_driver)
        pid = running.pid
    assert pid is not None
    assert gone(pid)
    means = average([running.path], ALWAYS)
    assert set(means.values.values()) == {None}
    assert set(means.unavailable.values()) == {"no_data"}


def test_no_such_gpu(tmp_path: Path) -> None:
    """Without NVML, or without that GPU, its values are missing for a reason and the host's are there."""
    with Sampler(tmp_path, ["GPU-0"], interval_s=INTERVAL_S) as running:
        wait_for(lambda: lines(running.path) > 3)
    assert running.unavailable is None
    means = average([running.path], ALWAYS, gpu_uuid="GPU-0")
    for name in nvml.NAMES:
        assert means.values[name] is None
        assert means.unavailable[name] in ("no_driver", "no_data")
    if sys.platform == "linux":
        assert means.values["memory_available_bytes"]


@linux_only
def test_a_full_disk_loses_samples_and_not_the_sampler(tmp_path: Path) -> None:
    """Files stay readable while there is no room; when there is some again, sampling goes on."""
    import resource

    with Sampler(tmp_path, interval_s=INTERVAL_S) as running:
        wait_for(lambda: lines(running.path) > 2)
        pid = running.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: state(pid) == "T")
        before, written = running.path.stat(), lines(running.path)
        # not enough for one sample
        room = before.st_size + 100
        limits = resource.prlimit(pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: running.path.stat().st_mtime_ns > before.st_mtime_ns)
        assert lines(running.path) == written
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        wait_for(lambda: lines(running.path) > written + 2)
    assert running.unavailable is not None
    assert str(running.log) in running.unavailable
    assert "samples could not be written" in running.log.read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_no_room_from_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    """A disk without room for one line is tried at every tick, and told at the end."""
    assert sampler.run("/dev/full", 0.001, [], Ticks(3)) == 1
    told = "3 samples could not be written to /dev/full: No space left on device\n"
    assert capsys.readouterr().err == told


@linux_only
def test_a_sampler_that_was_killed_is_told(tmp_path: Path) -> None:
    """The study goes on; what was sampled stays and the reason is there."""
    with Sampler(tmp_path, interval_s=INTERVAL_S) as running:
        wait_for(lambda: lines(running.path) > 2)
        pid = running.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: running.pid is None)
    assert running.unavailable is not None
    assert "ended by itself with code -9" in running.unavailable
    assert average([running.path], ALWAYS).samples > 0


def test_a_sampler_that_cannot_start_raises_nothing(tmp_path: Path) -> None:
    """A study without telemetry is still a study."""
    with Sampler(tmp_path / "none") as running:
        assert running.pid is None
    assert running.unavailable is not None
    assert "did not start" in running.unavailable
