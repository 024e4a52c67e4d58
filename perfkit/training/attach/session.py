"""One process of the script: when it trains, what is told of it, and how it ends."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perfkit.training.attach import forwards
from perfkit.training.attach.collectives import ReducerTimes
from perfkit.training.attach.facts import Facts
from perfkit.training.attach.folder import ProcessFolder, ranks
from perfkit.training.attach.launching import Launching
from perfkit.training.attach.loaders import Loader, Loaders, Pass, describe
from perfkit.training.attach.optimizers import Optimizers
from perfkit.training.attach.passes import Steps
from perfkit.training.attach.phases import Phases
from perfkit.training.attach.precision import Precision
from perfkit.training.attach.process import at_end_of_child, device, told, uncaught
from perfkit.training.attach.recorder import LateRecorder
from perfkit.training.attach.stacks import Untracked
from perfkit.training.attach.stop import Stop
from perfkit.training.attach.threads import OtherThreads
from perfkit.training.probe import worker
from perfkit.training.probe.clocks import CudaDevice
from perfkit.training.probe.device import environment
from perfkit.training.probe.loader import depth_reader, ready_reader
from perfkit.training.probe.steps import marking_period

STEPS_TO_MARK = 20
"""Steps seen before the marking of phases on a device is set to what it costs."""


class Session:
    """The recorder in this process, from its first loader or backward to its end.

    Nothing here raises into the script: the first error ends the recording, in one line.

    Args:
        place: returns the folder of the study, which it may make.
        started_ns: `perf_counter_ns` when the bootstrap ran.
    """

    def __init__(self, place: Callable[[], Path], started_ns: int) -> None:
        self.off = False
        """Nothing is recorded in this process, or no more."""
        self.steps: Steps | None = None
        self.thread = 0
        """The thread that trains, as far as is known."""
        self.depth = 0
        """Backwards that run inside each other."""
        self.stop = Stop(os.environ)
        self.place = place
        self.fetching: Any = None
        """The handle of what is no DataLoader while its next() runs; see `attach.iterables`."""
        self.number = itertools.count().__next__
        """Returns the number of a pass that begins."""
        self.over = False
        """The recording has come to its end."""
        self._before = uncaught()
        self._started_ns, self._pid = started_ns, os.getpid()
        self._folder: ProcessFolder | None = None
        self._recorder: LateRecorder | None = None
        self._trains = False
        self._precision = Precision()
        self._launching = Launching()
        self._loaders = Loaders()
        self._optimizers = Optimizers()
        self._facts = Facts()
        self._phases = Phases()
        self._reducers = ReducerTimes()
        self._others = OtherThreads()
        self._untracked: Untracked | None = None
        self._first_ns = 0

    def begin(self) -> Steps:
        """Make the folder and the recorder, at the first loader, backward or update."""
        if self._recorder is not None and self._others.is_another(self.thread):
            self._recorder.another_thread()
        with self._others.moving:
            return self.steps or self._begin()

    def _begin(self) -> Steps:
        self._folder = ProcessFolder(self.place(), self._started_ns)
        self._recorder = LateRecorder(self._folder.rank.steps)
        self.steps = steps = Steps(self._recorder, self)
        self.thread = threading.get_ident()
        worker.install(self._folder.rank.loader)
        atexit.register(self.end)
        if os.getpid() != os.getpgid(0) or "multiprocessing.process" in sys.modules:
            at_end_of_child(self.end)
        return steps

    def passes(self, loader: Any, iterator: Any, iter_s: float) -> Pass:
        """Describe an iteration that has begun."""
        folder = self._folder
        assert folder is not None
        depth, ready = depth_reader(iterator), ready_reader(iterator, folder.rank.loader)
        begun = Pass(self.number(), self.entry(loader), depth, ready)
        self.tell_pass(begun, iter_s)
        return begun

    def entry(self, loader: Any, describe: Callable[[Any], dict[str, Any]] = describe) -> Loader:
        """Return what is known of something that is iterated over here."""
        return self._loaders.find(loader, describe)

    def tell_pass(self, begun: Pass, iter_s: float) -> None:
        """Tell of a pass, and of its loader if that is new."""
        folder, loader = self._folder, begun.loader
        if folder is None:
            return
        described, loader.untold = loader.untold, None
        if described is not None:
            folder.event("loader", **described)
            self._facts.loader(folder, described)
        event = {"pass": begun.number, "loader": loader.number, "iter_s": iter_s}
        folder.event("pass", **event, pid=os.getpid())

    def phase(self, name: str, since_ns: int) -> None:
        """A phase of the script's own is over."""
        folder = self._folder
        if self.off or folder is None:
            return
        try:
            now = time.perf_counter_ns()
            self._phases.add(folder, name, now - since_ns, now)
        except Exception as error:
            self.fail(error)

    @property
    def has_trained(self) -> bool:
        """Whether a step of training was seen, and it is not over."""
        return self._trains and not self.over

    def may_move(self, asking: Pass | None = None) -> bool:
        """Whether the thread that calls becomes the one that trains; see `attach.threads`.

        Args:
            asking: the pass that is asked for a batch; None where a backward or an update begins.
        """
        try:
            steps = self.begin()
            with self._others.moving:
                if self.thread != threading.get_ident():
                    if not self._others.may_take_over(self.thread, steps, asking):
                        return False
                    self.thread = threading.get_ident()
                    self._others.takes_over(steps, asking)
        except Exception as error:
            self.fail(error)
            return False
        return True

    def backward_begins(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A backward begins, with what it was called with."""
        try:
            steps = self.steps or self.begin()
            self._precision.backward(args, kwargs)
            self._launching.backward(self._folder, steps.trained, args, kwargs)
            steps.backward_begins()
        except Exception as error:
            self.fail(error)

    def backward_ends(self) -> None:
        if self.off or self.steps is None:
            return
        try:
            self.steps.backward_ends()
        except Exception as error:
            self.fail(error)

    def update_begins(self, optimizer: Any) -> None:
        """`optimizer.step` begins."""
        try:
            self._precision.update()
            (self.steps or self.begin()).update_begins(optimizer)
        except Exception as error:
            self.fail(error)

    def update_ends(self, optimizer: Any) -> None:
        if self.off or self.steps is None:
            return
        try:
            self.steps.update_ends(optimizer)
        except Exception as error:
            self.fail(error)

    # what `Steps` tells

    def trains(self) -> None:
        steps, folder, recorder = self.steps, self._folder, self._recorder
        if steps is None or folder is None or recorder is None:
            return
        self._trains = True
        self._first_ns = time.perf_counter_ns()
        self._untracked = Untracked(steps, self._first_ns)
        folder.attached(ranks())
        where = device()
        if where != "cpu":
            recorder.use_device(CudaDevice(where))
        folder.environment(environment(where))
        self._facts.first_step(folder, where)
        self.stop.begin()

    def updated(self, optimizer: Any) -> None:
        if optimizer is self._facts.optimizer:
            return
        folder = self._folder
        described = self._optimizers.find(optimizer)
        if described is not None and folder is not None:
            folder.event("optimizer", **described)
            self._precision.tell(folder)
        self._facts.optimizer = optimizer

    def pass_over(self, over: Pass, *, exhausted: bool) -> None:
        if self._folder is not None:
            self._folder.event(
                "pass_end",
                **{"pass": over.number},
                fetched=over.fetched,
                exhausted=exhausted,
                backwards=over.backwards,
                updates=over.updates,
                companion=None if over.companion is None else over.companion.number,
            )

    def fetched(self, now_ns: int) -> None:
        steps, folder, recorder = self.steps, self._folder, self._recorder
        if not self._trains or steps is None or folder is None or recorder is None:
            return
        trained = steps.trained
        if trained == STEPS_TO_MARK:
            step_s = (now_ns - self._first_ns) * 1e-9 / trained
            recorder.phase_every = marking_period(step_s, recorder.cost_s())
        self._reducers.look(folder, trained)
        if self._facts.due(trained):
            self._facts.look(folder, trained)
        self._others.tell(folder)
        if steps.bare_steps == forwards.AFTER_STEPS:
            forwards.watch(self)
        explained = steps.sees_forward or not steps.without_loader
        if self._untracked is not None and (self._others.fetch or explained):
            self._untracked.look(folder, self.thread, now_ns)

    def fail(self, error: BaseException) -> None:
        """Something of ours went wrong: the script goes on without us."""
        if self.off:
            return
        self.off = True
        text = f"{type(error).__name__}: {error}".split("\n")[0]
        with contextlib.suppress(Exception):
            sys.stderr.write(f"perfkit: process {os.getpid()} is no longer recorded: {text}\n")
        with contextlib.suppress(Exception):
            if self._folder is not None:
                self._folder.event("fault", text=text)
        with contextlib.suppress(Exception):
            if self._recorder is not None:
                self._recorder.close()

    def end(self) -> None:
        """The process ends: write what there is, or take away what was made for nothing."""
        folder, steps, recorder = self._folder, self.steps, self._recorder
        self._folder, self.over = None, True
        if folder is None or steps is None or recorder is None or os.getpid() != self._pid:
            return
        try:
            if self._untracked is not None:
                self._untracked.end(folder)
            if not self._trains:
                self.off = True
                recorder.close()
                folder.remove()
                return
            if not self.off:
                self.off = True
                steps.end()
                worker.write()
                self._precision.tell(folder)
                self._phases.tell(folder)
                self._facts.end(folder, steps.trained, self._optimizers.count)
                folder.event("cost", steps=recorder.steps, own_s=recorder.own_ns * 1e-9)
                recorder.close()
            error = uncaught()
            folder.status("ended", None if error is self._before else told(error))
        except Exception as error:
            self.off = False
            self.fail(error)

    def forget(self) -> None:
        """In a forked child: all of this is the parent's."""
        self.off, self._folder = True, None
        if self._untracked is not None:
            self._untracked.forget()
