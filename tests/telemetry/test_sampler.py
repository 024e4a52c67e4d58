"""What a sample holds, and the sampler's child from start to end, as a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench_process import wait_for
from fake_nvml import UUID, VALUES, FakeNvml

from perfkit.jsonlines import JsonLines
from perfkit.telemetry import nvml, sampler
from perfkit.telemetry.reading import REASONS
from perfkit.telemetry.start import Sampler
from perfkit.telemetry.windows import average

INTERVAL_S = 0.02

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this /proc")


def lines(path: Path) -> int:
    return len(list(JsonLines(path).read()))


def test_the_first_line_says_what_is_sampled() -> None:
    """Versions and GPUs; what cannot be sampled has its reason, in a code and in words."""
    opened = nvml.Nvml(FakeNvml())
    head = sampler.head(0.2, opened, [opened.gpu(UUID), opened.gpu("GPU-0")])
    assert (head["format"], head["interval_s"], head["driver"]) == (sampler.FORMAT, 0.2, "570.00")
    assert head["gpus"] == [{"uuid": UUID, "name": "Fake GPU"}, {"uuid": "GPU-0", "name": None}]
    assert head["unavailable"] == {"GPU-0": "no_data"}
    assert head["reasons"]["GPU-0"].startswith(REASONS["no_data"])


def test_a_sample() -> None:
    """Both clock readings, every GPU's values and the host's; reasons under the value's name."""
    opened = nvml.Nvml(FakeNvml(nvmlDeviceGetPowerUsage=OSError("torn cable")))
    sample = sampler.sample(sampler.Host(), [opened.gpu(UUID)])
    assert sample["t_ns"] < sample["t_end_ns"]
    (gpu,) = sample["gpus"]
    assert gpu.pop("uuid") == UUID
    assert gpu == pytest.approx(VALUES | {"power_watts": None})
    assert sample["unavailable"][f"{UUID}.power_watts"] == "error"
    assert set(sample["host"]) == set(sampler.HOST_NAMES)


def test_busy_share_is_of_the_time_since_the_last_reading(tmp_path: Path) -> None:
    """The first reading has none; then it is the part that was not idle."""
    cpus = sampler.proc.allowed_cpus() or (0,)

    def write(user: int, idle: int) -> None:
        rows = [f"cpu{cpu} {user} 0 0 {idle} 0 0 0 0 0 0" for cpu in cpus]
        (tmp_path / "stat").write_text("\n".join(["cpu 0 0 0 0", *rows, "intr 0"]))

    write(1000, 5000)
    host = sampler.Host(root=str(tmp_path))
    first = host.read()
    assert first.values["cpu_busy_share"] is None
    assert first.unavailable == {"cpu_busy_share": "no_data", "memory_available_bytes": "no_data"}
    write(1030, 5010)
    assert host.read().values["cpu_busy_share"] == pytest.approx(0.75)
    write(1030, 5009)  # idle counters can step back
    assert host.read().values["cpu_busy_share"] is None
    assert sampler.Host(root="/nowhere").read().values == dict.fromkeys(sampler.HOST_NAMES)


@linux_only
def test_from_start_to_stop(tmp_path: Path) -> None:
    """The child writes a head and samples on our clock, and is gone when it was stopped."""
    began_ns = time.perf_counter_ns()
    with Sampler(tmp_path, interval_s=INTERVAL_S) as running:
        pid = running.pid
        assert pid is not None
        wait_for(lambda: lines(running.path) > 5)
    ended_ns = time.perf_counter_ns()
    assert (running.pid, running.unavailable) == (None, None)
    assert not Path(f"/proc/{pid}").exists()
    head, *samples = JsonLines(running.path).read()
    assert (head["pid"], head["gpus"]) == (pid, [])
    times = [t for sample in samples for t in (sample["t_ns"], sample["t_end_ns"])]
    assert times == sorted(times)
    assert began_ns < times[0]
    assert times[-1] < ended_ns
    means = average([running.path], [(began_ns, ended_ns)])
    assert means.samples == len(samples)
    assert (means.values["memory_available_bytes"] or 0) > 0
    assert 0 <= (means.values["cpu_busy_share"] or 0) <= 1
    assert means.unavailable["gpu_util_share"] == "not_applicable"


def test_every_start_has_a_file_of_its_own(tmp_path: Path) -> None:
    """A resumed study keeps what was sampled before."""
    paths = []
    for _ in range(2):
        with Sampler(tmp_path, interval_s=INTERVAL_S) as running:
            wait_for(lambda path=running.path: lines(path) > 1)
        paths.append(running.path)
    assert [path.name for path in paths] == ["samples.jsonl", "samples-2.jsonl"]
    assert all(lines(path) > 1 for path in paths)


def test_starting_and_stopping_twice(tmp_path: Path) -> None:
    """The second time does nothing."""
    running = Sampler(tmp_path, interval_s=INTERVAL_S)
    running.start()
    pid = running.pid
    running.start()
    assert running.pid == pid
    running.stop()
    running.stop()
    assert (running.pid, running.unavailable) == (None, None)


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_ctrl_c_is_the_parents_to_answer(tmp_path: Path) -> None:
    """The terminal sends it to the whole group; the sampler samples on until it is stopped."""
    with Sampler(tmp_path, interval_s=INTERVAL_S) as running:
        wait_for(lambda: lines(running.path) > 1)
        assert running.pid is not None
        os.kill(running.pid, signal.SIGINT)
        seen = lines(running.path)
        wait_for(lambda: lines(running.path) > seen + 2)
    assert running.unavailable is None


def test_an_interval_that_makes_no_sense_is_refused() -> None:
    """By the child itself, with the exit code of bad usage."""
    command = [sys.executable, "-m", "perfkit.telemetry.sampler", "--out", "x", "--interval", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--interval" in done.stderr
