"""What one training process leaves in its folder, as its steps show it: each thing told once it is known."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from perfkit.training.attach import forwards
from perfkit.training.attach.collectives import ReducerTimes
from perfkit.training.attach.facts import Facts
from perfkit.training.attach.folder import ProcessFolder, ranks
from perfkit.training.attach.launching import AT_STEP, Launching
from perfkit.training.attach.loaders import Pass
from perfkit.training.attach.optimizers import Optimizers
from perfkit.training.attach.passes import Steps
from perfkit.training.attach.phases import Phases
from perfkit.training.attach.precision import Precision
from perfkit.training.attach.process import device, told
from perfkit.training.attach.recorder import LateRecorder
from perfkit.training.attach.stop import Stop
from perfkit.training.attach.tape import SHORT_S
from perfkit.training.attach.threads import OtherThreads
from perfkit.training.attach.untracked import Untracked
from perfkit.training.probe import worker
from perfkit.training.probe.clocks import CudaDevice
from perfkit.training.probe.device import environment
from perfkit.training.probe.steps import marking_period

STEPS_TO_MARK = 20
"""Steps seen before the marking of phases on a device is set to what it costs."""
STEPS_TO_NOTE = 64
"""Steps seen before it is decided whether the ones that follow are noted only."""


class Recording:
    """A process's folder, its recorder and its steps; `Steps` tells it what they show.

    Args:
        folder: made for this process.
        stop: when the script is to end.
        others: threads beside the one that trains.
        watch_forwards: called once steps have no loader; forwards are told of from then on.
    """

    def __init__(
        self,
        folder: ProcessFolder,
        stop: Stop,
        others: OtherThreads,
        watch_forwards: Callable[[], None],
    ) -> None:
        self.folder = folder
        self.recorder = LateRecorder(folder.rank.steps)
        self.steps = Steps(self.recorder, self)
        self.thread = 0
        """The one that trains."""
        self.has_trained = False
        """Whether a step of training was seen."""
        self.may_note = False
        """Whether steps have shown that they are better noted than worked up; see `attach.tape`."""
        self._stop, self._others, self._watch_forwards = stop, others, watch_forwards
        self._on_device = False
        self._precision = Precision()
        self._launching = Launching()
        self._optimizers = Optimizers()
        self._facts = Facts()
        self._phases = Phases()
        self._reducers = ReducerTimes()
        self._untracked: Untracked | None = None
        self._first_ns = 0

    @property
    def look_at_ns(self) -> int:
        """From when on a batch that is asked for is told of at once, by `perf_counter_ns`."""
        return 0 if self._untracked is None else self._untracked.look_at_ns

    def loader(self, described: dict[str, Any]) -> None:
        """A loader is iterated over for the first time."""
        self.folder.event("loader", **described)
        self._facts.loader(self.folder, described)

    def phase(self, name: str, since_ns: int) -> None:
        """A phase of the script's own is over."""
        now = time.perf_counter_ns()
        self._phases.add(self.folder, name, now - since_ns, now)

    def backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A backward begins, with what it was called with."""
        self._precision.backward(args, kwargs)
        self._launching.backward(self.folder, self.steps.trained, args, kwargs)

    def looks_at(self, batch: Any) -> bool:
        """The loop has a batch; whether no other one needs to be looked at."""
        if self.steps.trained < AT_STEP:
            return False
        self._launching.batch(self.folder, batch)
        return True

    def update(self) -> None:
        """An update begins."""
        self._precision.update()

    # what `Steps` tells

    def trains(self) -> None:
        folder = self.folder
        self.has_trained = True
        self._first_ns = time.perf_counter_ns()
        self._untracked = Untracked(self.steps, self._first_ns)
        folder.attached(ranks())
        where = device()
        if where != "cpu":
            self._on_device = True
            self.recorder.use_device(CudaDevice(where))
        folder.environment(environment(where))
        self._facts.first_step(folder, where)
        self._stop.begin()

    def updated(self, optimizer: Any) -> None:
        if optimizer is self._facts.optimizer:
            return
        described = self._optimizers.find(optimizer)
        if described is not None:
            self.folder.event("optimizer", **described)
            self._precision.write(self.folder)
        self._facts.optimizer = optimizer

    def pass_over(self, over: Pass, *, exhausted: bool) -> None:
        self.folder.event(
            "pass_end",
            **{"pass": over.number},
            fetched=over.fetched,
            exhausted=exhausted,
            backwards=over.backwards,
            updates=over.updates,
            companion=None if over.companion is None else over.companion.number,
            joined_s=over.joined_ns * 1e-9,
        )

    def fetched(self, now_ns: int, steps: int = 1) -> None:
        untracked = self._untracked
        if untracked is None:
            return
        known, folder, recorder = self.steps, self.folder, self.recorder
        trained = known.trained
        if trained == STEPS_TO_MARK:
            recorder.phase_every = marking_period(self._step_s(now_ns), recorder.cost_s())
        self._reducers.look(folder, trained)
        if self._facts.due(trained):
            self._facts.look(folder, trained)
        self._others.write(folder)
        if known.bare_steps == forwards.AFTER_STEPS:
            self._watch_forwards()
        explained = known.sees_forward or not known.without_loader
        if self._others.fetch or explained:
            untracked.look(folder, self.thread, now_ns, steps)
        if trained == STEPS_TO_NOTE:
            self.may_note = self._notable() and self._step_s(now_ns) < SHORT_S

    def end(self, error: BaseException | None, *, failed: bool) -> None:
        """The process ends: write what there is, or take away what was made for nothing.

        Args:
            error: what ended it; None where it came to its end.
            failed: the recording has ended before, and the recorder is closed.
        """
        folder = self.folder
        if self._untracked is not None:
            self._untracked.end(folder)
        if not self.has_trained:
            self.recorder.close()
            folder.remove()
            return
        if not failed:
            self.steps.end()
            worker.write()
            self._precision.write(folder)
            self._phases.write(folder)
            self._facts.end(folder, self.steps.trained, self._optimizers.count)
            folder.event("cost", steps=self.recorder.steps, own_s=self.recorder.own_ns * 1e-9)
            self.recorder.close()
        folder.status("ended", told(error))

    def forget(self) -> None:
        """In a forked child: all of this is the parent's."""
        if self._untracked is not None:
            self._untracked.forget()

    def _step_s(self, now_ns: int) -> float:
        return (now_ns - self._first_ns) * 1e-9 / self.steps.trained

    def _notable(self) -> bool:
        """Whether all is told that a call has to be looked at for when it is made."""
        known = self._precision.is_known and self._launching.is_known
        at_once = self._on_device or self._stop.asked or self.steps.without_loader
        return known and not at_once
