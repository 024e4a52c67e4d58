"""Steps of a known length, and the loops round them that `overhead.py` holds against each other."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from _common import Watch

from perfkit.records import BACKWARD, FORWARD, H2D, OPTIMIZER
from perfkit.stats import mean_interval, ratio_interval
from perfkit.training.probe.clocks import CudaDevice
from perfkit.training.probe.device import synchronize
from perfkit.training.probe.recorder import Recorder

Step = Callable[[], None]
Stretch = Callable[[int], None]
"""Runs so many steps."""


def small_layers(device: torch.device) -> Step:
    """A unit of work like a small network's: a product, a bias, a ReLU; some 100 µs on one CPU core."""
    return _layer(device, 192)


def large_products(device: torch.device) -> Step:
    """A unit of work that keeps a GPU busy for longer than launching it takes."""
    return _layer(device, 2048)


def _layer(device: torch.device, size: int) -> Step:
    weights, bias = torch.randn(size, size, device=device), torch.randn(size, device=device)

    def unit() -> None:
        torch.relu((weights @ weights).add_(bias))

    return unit


def working(unit: Step, length_s: float, device: torch.device) -> tuple[Step, int]:
    """Return a step of so many units that it takes `length_s`, and how many those are."""
    seconds = []
    for count in (20, 50, 50, 50):
        synchronize(device)
        begin = time.perf_counter()
        for _ in range(count):
            unit()
        synchronize(device)
        seconds.append((time.perf_counter() - begin) / count)
    units = max(1, round(length_s / min(seconds)))

    def step() -> None:
        for _ in range(units):
            unit()

    return step, units


def paced(unit: Step, length_s: float, device: torch.device) -> tuple[Step, int]:
    """Return a step that works for half of `length_s` and spins for the rest, and its units."""
    work, units = working(unit, length_s / 2, device)
    length_ns = int(length_s * 1e9)

    def step() -> None:
        end_ns = time.perf_counter_ns() + length_ns
        work()
        while time.perf_counter_ns() < end_ns:
            pass

    return step, units


def bare_loop(step: Step) -> Stretch:
    """The loop that all others are held against."""

    def loop(steps: int) -> None:
        for _ in range(steps):
            step()

    return loop


def recorded_loop(step: Step, recorder: Recorder) -> Stretch:
    """The same loop with the recorder's ten calls a step, its writing included."""

    def loop(steps: int) -> None:
        for _ in range(steps):
            recorder.before_next()
            recorder.after_next(16)
            for phase in (H2D, FORWARD, OPTIMIZER):
                recorder.enter(phase)
                recorder.leave(phase)
            recorder.enter(BACKWARD)
            step()
            recorder.leave(BACKWARD)
        recorder.end_step()

    return loop


def profiled_loop(step: Step) -> Stretch:
    """The same loop under torch.profiler, one `step()` a step; starting and stopping it included."""
    # a line on stderr for every start and stop otherwise
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from torch.profiler import profile

    def loop(steps: int) -> None:
        with profile() as profiler:
            for _ in range(steps):
                step()
                profiler.step()

    return loop


def lightning_loop(step: Step) -> tuple[Stretch | None, str]:
    """The same loop with Lightning's SimpleProfiler round five phases; else None, and why."""
    for name in ("lightning.pytorch.profilers", "pytorch_lightning.profilers"):
        with contextlib.suppress(ImportError):
            profiler = importlib.import_module(name).SimpleProfiler()
            break
    else:
        return None, "Lightning's SimpleProfiler was left out: lightning is not installed"

    def loop(steps: int) -> None:
        for _ in range(steps):
            for phase in ("next", "transfer", "forward", "optimizer"):
                with profiler.profile(phase):
                    pass
            with profiler.profile("backward"):
                step()

    return loop, ""


@contextlib.contextmanager
def open_recorder(device: torch.device) -> Iterator[tuple[Recorder, Path]]:
    """Give a recorder as `perfkit bench` makes it for this device, and its file."""
    on_cuda = device.type == "cuda"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "steps.bin"
        recorder = Recorder(
            path,
            device=CudaDevice(device) if on_cuda else None,
        )
        yield recorder, path
        recorder.close()


@contextlib.contextmanager
def recorded(step: Step, device: torch.device) -> Iterator[Stretch]:
    """Give the loop under a recorder that is closed afterwards."""
    with open_recorder(device) as (recorder, _):
        yield recorded_loop(step, recorder)


def against(
    bare: Stretch,
    other: Stretch,
    *,
    steps: int,
    palindromes: int,
    device: torch.device,
    watch: Watch,
) -> dict[str, Any]:
    """Run two loops in palindromes; returns the ratio other ÷ bare and the seconds added a step."""

    def timed(loop: Stretch) -> float:
        synchronize(device)
        begin = time.perf_counter()
        loop(steps)
        synchronize(device)
        return (time.perf_counter() - begin) / steps

    timed(bare), timed(other)
    logs, added, bares = [], [], []
    watch.start()
    for _ in range(palindromes):
        first, second, third, fourth = timed(bare), timed(other), timed(other), timed(bare)
        logs.append(math.log((second + third) / (first + fourth)))
        added.append((second + third - first - fourth) / 2)
        bares.append((first + fourth) / 2)
    watch.mark()
    return {
        "step_s": statistics.median(bares),
        "ratio": ratio_interval(logs),
        "added_s": mean_interval(added),
        "steps": 4 * steps * palindromes,
    }
