"""Whole epochs of a training on the simulated device, and a list of all that happened in them.

Times are nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from simulated_device import SimulatedDevice
from simulated_loader import Job, Loader, Made, production_ns

from perfkit.records import BACKWARD, EVALUATION, FORWARD, H2D, OPTIMIZER, PERIODIC, UNKNOWN
from perfkit.training.probe.recorder import Recorder

SAMPLES = 16


class Did(NamedTuple):
    """What the host was doing for a while."""

    start_ns: int
    end_ns: int
    what: str
    step: int
    """Steps of the run that were over."""


class Ran(NamedTuple):
    """A kernel or a copy."""

    start_ns: int
    end_ns: int
    what: str
    step: int
    """As of the host that launched it."""


class Machine:
    """Plays a job on virtual time, with or without a recorder, and notes everything."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.device = SimulatedDevice(launch_ns=job.launch_ns, queue_limit=job.queue_limit)
        self.begun_ns = self.device.host_ns()
        self.did: list[Did] = []
        self.made: list[Made] = []
        self.recorder: Recorder | None = None
        self.steps = 0
        self._loader: Loader | None = None
        self._number = 0
        self._tags: list[tuple[str, int]] = []

    @property
    def now_ns(self) -> int:
        return self.device.host_ns()

    def ran(self) -> list[Ran]:
        """Every kernel and copy, in order."""
        times = self.device.ran()
        return [
            Ran(start_ns, end_ns, what, step)
            for (start_ns, end_ns), (what, step) in zip(times, self._tags, strict=True)
        ]

    def run(self) -> list[int]:
        """Play the first and the second epoch as a plain script does; return when each was over.

        Later ones are as the second. The periodic task falls due in both.
        """
        ends_ns = []
        for _ in range(2):
            self.begin_pass()
            for _ in range(self.job.steps):
                self.step()
            self.evaluate()
            self.periodic()
            self.synchronize()
            ends_ns.append(self.now_ns)
        return ends_ns

    def begin_pass(self) -> int:
        """`iter(loader)`; returns what it took."""
        job = self.job
        begin_ns = self.now_ns
        if job.workers == 0:
            self._number = 0
            return 0
        starts = not job.persistent or self._loader is None
        self._host("startup", job.iter_ns + (job.start_ns if starts else 0))
        self._loader = Loader(job, self.now_ns, self.made)
        return self.now_ns - begin_ns

    def next(self) -> None:
        """Take a batch."""
        job, loader = self.job, self._loader
        if loader is None:
            made_ns = production_ns(job, self._number)
            self._number += 1
            self._host("waiting", made_ns)
            return
        late_ns = loader.ready_ns() - self.now_ns
        self._host("waiting" if late_ns > 0 else "transfer", max(0, late_ns) + job.take_ns)
        loader.take(self.now_ns)

    def step(self) -> None:
        """One training step."""
        recorder, loader = self.recorder, self._loader
        if recorder is not None:
            now_ns = self.now_ns
            depth = UNKNOWN if loader is None else loader.depth(now_ns)
            recorder.before_next(depth, 0 if loader is None else int(loader.ready_ns() <= now_ns))
        self.next()
        if recorder is not None:
            recorder.after_next(SAMPLES)
        self.train()

    def train(self) -> None:
        """Train on a batch that is there."""
        job = self.job
        with self._phase(H2D):
            self._host("h2d" if job.on_device else "other", job.copy_python_ns)
            if job.on_device and job.copy_ns:
                self._launch("h2d", job.copy_ns)
                if not job.pinned:
                    self.synchronize()
        for phase, kernels_ns in zip((FORWARD, BACKWARD, OPTIMIZER), job.kernels_ns, strict=True):
            with self._phase(phase):
                self._host("launch" if job.on_device else "compute", job.python_ns)
                if phase == FORWARD and self.steps == 0:
                    self._host("startup", job.compile_ns)
                for duration_ns in kernels_ns:
                    if job.on_device:
                        self._launch("compute", duration_ns)
                    else:
                        self._host("compute", duration_ns)
        if job.item:
            self.synchronize()
        self._host("rest", job.rest_ns)
        self.steps += 1

    def evaluate(self) -> None:
        """Evaluate, between epochs."""
        self._between(EVALUATION, "eval", self.job.evaluation_ns)

    def periodic(self) -> None:
        """Run the periodic task."""
        with self._phase(PERIODIC):
            self.synchronize()
            self._host("periodic", self.job.periodic_ns)

    def synchronize(self) -> None:
        """Let the host wait for the device."""
        if self.job.on_device:
            self.device.synchronize()

    def depth(self) -> int:
        """Batches that are ready."""
        return UNKNOWN if self._loader is None else self._loader.depth(self.now_ns)

    def _between(self, phase: int, what: str, kernels_ns: tuple[int, ...]) -> None:
        with self._phase(phase):
            self.synchronize()
            for duration_ns in kernels_ns:
                if self.job.on_device:
                    self._launch(what, duration_ns)
                else:
                    self._host(what, duration_ns)
            self.synchronize()

    @contextmanager
    def _phase(self, phase: int) -> Iterator[None]:
        if self.recorder is not None:
            self.recorder.enter(phase)
        yield
        if self.recorder is not None:
            self.recorder.leave(phase)

    def _host(self, what: str, duration_ns: int) -> None:
        begin_ns = self.now_ns
        self.device.compute(duration_ns)
        if duration_ns:
            self.did.append(Did(begin_ns, self.now_ns, what, self.steps))

    def _launch(self, what: str, duration_ns: int) -> None:
        begin_ns = self.now_ns
        self.device.launch(duration_ns)
        self._tags.append((what, self.steps))
        meanwhile = "launch" if what == "compute" else what
        self.did.append(Did(begin_ns, self.now_ns, meanwhile, self.steps))
