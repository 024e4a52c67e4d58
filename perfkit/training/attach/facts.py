"""Settings that slow a training and can be read from inside, each told of once when it is seen.

All is only read: nothing is set, nothing is synchronised, no random number is drawn.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import torch

from perfkit.limits import usable_cores
from perfkit.training.attach.folder import ProcessFolder
from perfkit.variants._fp32 import effective_precision

LOOK_EVERY = 16
"""Steps between two looks at the memory."""
DENORMALS_AT = 48
"""Step at which the weights are looked at."""
DENORMAL_SHARE = 1e-3
"""Of the weights looked at; a CPU takes some 100 cycles for each product with one (Intel, Optimization
Reference Manual, "Floating-point modes")."""
MEMORY_STEPS = 96
"""Steps over which memory has to grow, after as many that may fill caches."""
MEMORY_LOOKS = 7
"""Looks in which it has to: as many as 96 steps have that are told of one by one."""
MEMORY_PER_STEP_BYTES = 32 * 1024
MEMORY_CORRELATION = 0.98
"""Of memory with the step's number, below which it does not grow by the step."""
_TF32_CAPABILITY = (8, 0)
_MOST_WEIGHTS = 4096  # of one parameter
_MOST_PARAMETERS = 64


class Facts:
    """What is told of a process beside its steps."""

    def __init__(self) -> None:
        self.optimizer: Any = None
        """One that made an update."""
        self._device = "cpu"
        self._memory: list[tuple[int, int]] = []
        self._written: set[str] = set()
        self._looked_at = -1
        self._statm: int | None = None

    def first_step(self, folder: ProcessFolder, device: str) -> None:
        """Look at what is set when training begins."""
        self._device = device
        if torch.is_anomaly_enabled():
            text = "anomaly detection is on: every backward records and checks each operator"
            self._write(folder, "anomaly_mode", True, text)
        if torch.are_deterministic_algorithms_enabled():
            text = "deterministic algorithms are required: slower ones take the place of others"
            self._write(folder, "deterministic", True, text)
        if device != "cpu" and torch.cuda.get_device_capability(device) >= _TF32_CAPABILITY:
            found = effective_precision("cuda")
            if torch.version.hip is None and found["matmul_precision"] == "ieee":
                text = "matrix products in FP32 do not use TF32, which this GPU has"
                self._write(folder, "tf32_off", found, text)
        self._threads(folder, 0)

    def loader(self, folder: ProcessFolder, described: dict[str, Any]) -> None:
        """Look at a loader that is new."""
        self._threads(folder, described["num_workers"])
        if described["sharded"] is False:
            text = "each worker reads the whole stream: nothing in it asks which worker it is"
            value = {"loader": described["loader"], "num_workers": described["num_workers"]}
            self._write(folder, "stream_per_worker", value, text)

    def due(self, step: int) -> bool:
        """Whether `look` has something to look at after so many steps."""
        return step // LOOK_EVERY > self._looked_at // LOOK_EVERY

    def look(self, folder: ProcessFolder, step: int) -> None:
        """Look at what shows itself in time."""
        self._looked_at = step
        if step == DENORMALS_AT:
            self._denormals(folder)
            self._doubles(folder)
        if "memory_grows" not in self._written:
            self._grows(folder, step)

    def end(self, folder: ProcessFolder, steps: int, optimizers: int) -> None:
        """Say what was not seen."""
        if steps and not optimizers:
            compiled = _has_compiled()
            code = "compiled_optimizer" if compiled else "no_updates_seen"
            why = "compiled into the graph" if compiled else "none called its step()"
            self._write(folder, code, 0, f"no update by an optimizer was seen: {why}")

    def _write(self, folder: ProcessFolder, code: str, value: Any, text: str) -> None:
        if code not in self._written:
            self._written.add(code)
            folder.event("fact", code=code, value=value, text=text)

    def _threads(self, folder: ProcessFolder, workers: int) -> None:
        cores = usable_cores()
        processes = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)
        threads = torch.get_num_threads()
        if processes * max(threads, workers) > cores:
            value = {"threads": threads, "workers": workers, "processes": processes, "cores": cores}
            many = f"{threads} threads" if threads >= workers else f"{workers} loader workers"
            each = f" in each of {processes} processes" if processes > 1 else ""
            self._write(folder, "threads_over_cores", value, f"{many}{each} share {cores} cores")

    def _denormals(self, folder: ProcessFolder) -> None:
        tiny = torch.finfo(torch.float32).tiny
        seen = found = 0
        with torch.no_grad():
            for weight in _weights(self.optimizer):
                part = weight.detach().reshape(-1)[:_MOST_WEIGHTS]
                seen += part.numel()
                found += int(((part != 0) & (part.abs() < tiny)).sum())
        if seen and found > DENORMAL_SHARE * seen:
            value = {"share": found / seen}
            text = f"{100 * found / seen:.1f} % of the weights are denormal numbers"
            self._write(folder, "denormals", value, text)

    def _doubles(self, folder: ProcessFolder) -> None:
        """Weights that were made from numpy's numbers, which are float64."""
        weights = _all_weights(self.optimizer)
        count = sum(weight.numel() for weight in weights)
        doubles = sum(weight.numel() for weight in weights if weight.dtype == torch.float64)
        if doubles > count / 2:
            text = f"{100 * doubles / count:.0f} % of the weights are float64"
            self._write(folder, "float64", {"share": doubles / count}, text)

    def _grows(self, folder: ProcessFolder, step: int) -> None:
        used = self._memory_bytes()
        if used is None or step < MEMORY_STEPS:
            return
        self._memory.append((step, used))
        first = self._memory[0][0]
        if step - first < MEMORY_STEPS or len(self._memory) < MEMORY_LOOKS:
            return
        slope, correlation = _line(self._memory)
        if slope >= MEMORY_PER_STEP_BYTES and correlation >= MEMORY_CORRELATION:
            value = {"bytes_per_step": slope, "device": self._device, "steps": step - first}
            text = f"memory grows by {slope / 1024:.0f} KiB a step on {self._device}"
            self._write(folder, "memory_grows", value, text)
        del self._memory[0]

    def _memory_bytes(self) -> int | None:
        """Return what this process holds: on its device, or resident where that is the CPU."""
        if self._device != "cpu":
            return torch.cuda.memory_allocated(self._device)
        try:
            if self._statm is None:  # kept open: opening costs ten times the reading
                self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
            return int(os.pread(self._statm, 128, 0).split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError, AttributeError):
            return None


def _has_compiled() -> bool:
    """Whether a function was compiled in this process: dynamo is imported by what compiles nothing, too."""
    counters: Any = getattr(sys.modules.get("torch._dynamo.utils"), "counters", {})
    return bool(counters.get("frames", {}).get("ok", 0))


def _all_weights(optimizer: Any) -> list[torch.Tensor]:
    """Weights that an optimizer updates; none where none was seen: they are changed by hand."""
    groups = [] if optimizer is None else optimizer.param_groups
    return [weight for group in groups for weight in group["params"]]


def _weights(optimizer: Any) -> list[torch.Tensor]:
    """Some of them, in FP32 on the CPU."""
    found = _all_weights(optimizer)
    plain = [w for w in found if w.dtype == torch.float32 and w.device.type == "cpu" and w.numel()]
    return plain[:_MOST_PARAMETERS]


def _line(points: list[tuple[int, int]]) -> tuple[float, float]:
    """Return slope and correlation of the line through points."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    xx = sum((x - mean_x) ** 2 for x, _ in points)
    yy = sum((y - mean_y) ** 2 for _, y in points)
    xy = sum((x - mean_x) * (y - mean_y) for x, y in points)
    if not xx or not yy:
        return 0.0, 0.0
    return xy / xx, xy / (xx * yy) ** 0.5
