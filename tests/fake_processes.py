"""Training processes and a machine that do exactly what a test says, in the place of a generation's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fake_nvml import FakeNvml

from perfkit.document import Status
from perfkit.engine.generation import Generation
from perfkit.engine.process import Failed
from perfkit.runfolder import RunFolder
from perfkit.telemetry.foreign import HostSnapshot
from perfkit.telemetry.proc import CpuTimes

FP32, AMP, TF32 = "x/fp32", "x/amp", "x/tf32"
BLOCK_S = 1.0


@dataclass
class World:
    """Processes and a machine that do exactly what a test says."""

    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """(key, command, arguments), in order."""
    step_s: float = 0.01
    foreign_s: Callable[[int], float] = lambda turn: 0.0
    """CPU seconds of somebody else's beside the n-th block or edge that was timed, from 0."""
    fails: tuple[str, str] | None = None
    """(key, command) that ends in a failure."""
    fails_at: int = 1
    """At the how-manieth time that it is asked for."""
    status: Status = "oom"
    message: str = "planted"
    generation: Generation | None = None
    told: list[str] = field(default_factory=list)
    """Commands and kills, in order."""
    waited_s: dict[str, float] = field(default_factory=dict)
    """By what was waited for, the limit."""
    gpu: FakeNvml | None = None
    on_gpu: Callable[[FakeNvml, int, int], None] = lambda nvml, turn, pid: None
    """What the n-th block or edge that was timed, of that process, makes the GPU tell."""
    timed: int = 0
    now_s: float = 0.0
    busy_s: float = 0.0

    def snapshot(self, groups: Any = ()) -> HostSnapshot:
        total_s = 2 * self.now_s + 1
        return HostSnapshot(
            t_ns=round(self.now_s * 1e9),
            booted_s=self.now_s,
            cpus=(0, 1),
            cpu=CpuTimes(busy_s=self.busy_s, total_s=total_s),
        )

    def process(self, folder: RunFolder, key: str) -> Any:
        return _Process(self, folder, key, len(self.asked))


@dataclass
class _Process:
    world: World
    folder: RunFolder
    key: str
    pid: int
    failure: Failed | None = None

    def wait_for(self, event: str, timeout_s: float, *, what: str) -> dict[str, Any]:
        self.world.waited_s[what] = timeout_s
        self._may_fail(what)
        return {"environment": {}}

    def ask(self, timeout_s: float, do: str, **arguments: Any) -> dict[str, Any]:
        self.world.asked.append((self.key, do, arguments))
        self.world.told.append(f"{do} {self.key}")
        self._may_fail(do)
        if do in ("block", "edges"):
            self.world.busy_s += self.world.foreign_s(self.world.timed)
            if self.world.gpu is not None:
                self.world.on_gpu(self.world.gpu, self.world.timed, self.pid)
            self.world.timed += 1
            self.world.now_s += BLOCK_S
        return {"step_s": self.world.step_s, **arguments}

    def send(self, do: str, **arguments: Any) -> None:
        self.world.asked.append((self.key, do, arguments))
        self.world.told.append(f"{do} {self.key}")

    def _may_fail(self, do: str) -> None:
        asked = [what for key, what, _ in self.world.asked if key == self.key].count(do)
        if self.world.fails == (self.key, do) and asked == self.world.fails_at:
            self.failure = Failed(self.world.status, self.world.message)
            raise self.failure

    def go_on(self) -> None: ...
    def stop(self) -> None: ...

    def kill(self) -> None:
        self.world.told.append(f"kill {self.key}")

    def end(self) -> None:
        self.world.told.append(f"end {self.key}")


def blocks(world: World) -> list[tuple[str, int]]:
    return [(key, told["steps"]) for key, do, told in world.asked if do == "block"]
