"""Training loops on the simulated device, of every kind that starves or does not, with their truth.

A loop is plain numbers, so that a cause can be taken out of it (`dataclasses.replace`) and played
again. Its batches come from a producer with a clock of its own and a bounded queue of ready batches.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from simulated_device import SimulatedDevice

from perfkit.records import BACKWARD, FORWARD, H2D, OPTIMIZER
from perfkit.records import PHASES as STEP_PHASES
from perfkit.training.probe.recorder import Recorder

KINDS = ("loader_starved", "launch_starved", "synchronising", "balanced", "run_ahead")
PHASES = ("data_wait", "h2d", "forward", "backward", "optimizer")
SAMPLES = 16


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one step asks of the producer, the host and the device. Times are nanoseconds."""

    make_ns: int
    """The producer's time for the batch."""
    take_ns: int
    """Host time of `next()` when the batch is ready."""
    copy_ns: int
    copy_blocks: bool
    """Whether the host waits for the copy, as for one from pageable memory."""
    forward_ns: tuple[int, ...]
    """Kernels of one forward."""
    backward_ns: tuple[int, ...]
    optimizer_ns: tuple[int, ...]
    passes: int
    """Forwards and backwards before the optimizer's step."""
    python_ns: int
    """Host time of each phase beside its launches."""
    rest_ns: int
    """Host time after the last phase."""
    synchronises: bool
    """Whether the step ends with a `.item()`."""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Steps in a row, and how many batches the producer makes ahead."""

    plans: tuple[Plan, ...]
    queue_capacity: int
    launch_ns: int
    queue_limit: int


class TrueStep(NamedTuple):
    """What happened in a step; the names are those of `perfkit.records.StepRecord`."""

    step_s: float
    data_wait_s: float
    h2d_s: float
    forward_s: float
    backward_s: float
    optimizer_s: float
    device_step_s: float
    exposed_wait_s: float
    device_h2d_s: float
    device_forward_s: float
    device_backward_s: float
    device_optimizer_s: float
    lead_s: float


class _Place(NamedTuple):
    """A place in the program: when the host is there, and when the device will be."""

    host_ns: int
    device_ns: int


def device_for(loop: Loop, *, latency_ns: int = 0, rate: float = 1.0) -> SimulatedDevice:
    """Return a fresh device as the loop wants it."""
    return SimulatedDevice(
        launch_ns=loop.launch_ns, queue_limit=loop.queue_limit, latency_ns=latency_ns, rate=rate
    )


def play(loop: Loop, device: SimulatedDevice, recorder: Recorder | None = None) -> list[TrueStep]:
    """Run a loop, reporting to a recorder if there is one, and return the truth about each step."""
    producer = _Producer(loop, device.host_ns())
    truth: list[_OpenStep] = []
    for number, plan in enumerate(loop.plans):
        here = _place(device)
        if truth:
            truth[-1].end = here
        step = _OpenStep(here)
        truth.append(step)
        if recorder is not None:
            depth = producer.depth(number, device.host_ns())
            recorder.before_next(depth, int(depth > 0))
        ready_ns = producer.take(number, device.host_ns())
        device.compute(max(0, ready_ns - device.host_ns()) + plan.take_ns)
        step.exposed_ns = device.idle_ns(here.host_ns, device.host_ns())
        step.pass_by("data_wait", device)
        if recorder is not None:
            recorder.after_next(SAMPLES)
        _train(plan, step, device, recorder)
    truth[-1].end = _place(device)
    if recorder is not None:
        recorder.end_step()
        device.synchronize()
        recorder.drain()
    return [step.truth() for step in truth]


def _train(plan: Plan, step: _OpenStep, device: SimulatedDevice, recorder: Recorder | None) -> None:
    with _phase(H2D, step, device, recorder):
        _run(device, plan.python_ns, (plan.copy_ns,))
        if plan.copy_blocks:
            device.synchronize()
    for _ in range(plan.passes):
        with _phase(FORWARD, step, device, recorder):
            _run(device, plan.python_ns, plan.forward_ns)
        with _phase(BACKWARD, step, device, recorder):
            _run(device, plan.python_ns, plan.backward_ns)
    with _phase(OPTIMIZER, step, device, recorder):
        _run(device, plan.python_ns, plan.optimizer_ns)
    if plan.synchronises:
        device.synchronize()
    device.compute(plan.rest_ns)


@contextmanager
def _phase(
    phase: int, step: _OpenStep, device: SimulatedDevice, recorder: Recorder | None
) -> Iterator[None]:
    if recorder is not None:
        recorder.enter(phase)
    yield
    step.pass_by(STEP_PHASES[phase], device)
    if recorder is not None:
        recorder.leave(phase)


def _run(device: SimulatedDevice, python_ns: int, kernels_ns: tuple[int, ...]) -> None:
    device.compute(python_ns)
    for duration_ns in kernels_ns:
        device.launch(duration_ns)


def _place(device: SimulatedDevice) -> _Place:
    # the device gets here once it has worked off what it was given so far
    return _Place(device.host_ns(), device.host_ns() + device.backlog_ns())


class _Producer:
    """Makes batches one after another, as long as there is room for a ready one."""

    def __init__(self, loop: Loop, start_ns: int) -> None:
        self._make_ns = [plan.make_ns for plan in loop.plans]
        self._ready_ns: list[int] = []
        self._room_ns = [start_ns] * loop.queue_capacity

    def depth(self, number: int, now_ns: int) -> int:
        """How many batches from `number` on are ready."""
        self._make()
        return sum(ready_ns <= now_ns for ready_ns in self._ready_ns[number:])

    def take(self, number: int, now_ns: int) -> int:
        """Take a batch now or once it is ready; returns when that is."""
        self._make()
        self._room_ns.append(max(now_ns, self._ready_ns[number]))
        return self._ready_ns[number]

    def _make(self) -> None:
        for number in range(len(self._ready_ns), min(len(self._room_ns), len(self._make_ns))):
            free_ns = self._ready_ns[-1] if self._ready_ns else 0
            start_ns = max(free_ns, self._room_ns[number])
            self._ready_ns.append(start_ns + self._make_ns[number])


class _OpenStep:
    """Adds up the phases of a step from the places it passes."""

    def __init__(self, start: _Place) -> None:
        self.end = start
        self.exposed_ns = 0
        self._start = start
        self._last = start
        self._host_ns = dict.fromkeys(PHASES, 0)
        self._device_ns = dict(self._host_ns)

    def pass_by(self, phase: str, device: SimulatedDevice) -> None:
        """A phase ends here."""
        here = _place(device)
        self._host_ns[phase] += here.host_ns - self._last.host_ns
        self._device_ns[phase] += here.device_ns - self._last.device_ns
        self._last = here

    def truth(self) -> TrueStep:
        """Return the step in seconds."""
        times_ns = (
            self.end.host_ns - self._start.host_ns,
            *self._host_ns.values(),
            self.end.device_ns - self._start.device_ns,
            self.exposed_ns,
            *(self._device_ns[phase] for phase in PHASES[1:]),
            self._start.device_ns - self._start.host_ns,
        )
        return TrueStep(*(time_ns * 1e-9 for time_ns in times_ns))


def make_loop(kind: str, seed: int, *, steps: int = 60) -> Loop:
    """Make a loop of a kind; the seed draws its sizes, and each step differs a little.

    loader_starved  batches take longer to make than to train on
    launch_starved  many kernels shorter than their launch
    synchronising   every step ends with a `.item()`
    balanced        batches take about as long to make as to train on
    run_ahead       long kernels and ready batches: the host is held up by the launch queue alone
    """
    rng = random.Random(f"{kind} {seed}")
    launch_ns = rng.randint(2_000, 10_000)
    kernels = rng.randint(4, 20)
    kernel_ns = rng.randint(10, 60) * launch_ns
    if kind == "launch_starved":
        kernels, kernel_ns = rng.randint(30, 90), rng.randint(1, 6) * launch_ns // 10
    work_ns = 4 * kernels * kernel_ns
    make_ns = work_ns * {
        "loader_starved": rng.uniform(1.2, 3.0),
        "launch_starved": 0.1,
        "synchronising": rng.uniform(0.1, 1.5),
        "balanced": rng.uniform(0.9, 1.1),
        "run_ahead": 0.1,
    }[kind]  # fmt: skip
    passes = rng.choice((1, 1, 1, 2, 3))
    copy_blocks = kind != "run_ahead" and rng.random() < 0.3
    stall_every = rng.choice((0, 0, 7, 20))

    def about(value: float) -> int:
        return max(1, int(value * rng.uniform(0.8, 1.2)))

    def kernels_ns(count: int) -> tuple[int, ...]:
        return tuple(about(kernel_ns / passes) for _ in range(count))

    def plan(number: int) -> Plan:
        stalls = kind != "run_ahead" and stall_every and number % stall_every == stall_every - 1
        return Plan(
            make_ns=about(make_ns * (10 if stalls else 1)),
            take_ns=about(rng.choice((5_000, 50_000))),
            copy_ns=about(kernel_ns),
            copy_blocks=copy_blocks,
            forward_ns=kernels_ns(kernels),
            backward_ns=kernels_ns(2 * kernels),
            optimizer_ns=kernels_ns(kernels),
            passes=passes,
            python_ns=about(20_000),
            rest_ns=about(rng.choice((1_000, 100_000))),
            synchronises=kind == "synchronising",
        )

    return Loop(
        plans=tuple(plan(number) for number in range(steps)),
        queue_capacity=rng.randint(1, 8),
        launch_ns=launch_ns,
        queue_limit=rng.randint(16, 200) if kind == "run_ahead" else 1024,
    )
