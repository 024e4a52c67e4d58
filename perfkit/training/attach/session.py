"""One process of the script: which of its calls belong to a recording, and how that begins and ends."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from perfkit.training.attach import forwards
from perfkit.training.attach.folder import ProcessFolder
from perfkit.training.attach.loaders import Loader, Loaders, Pass, describe
from perfkit.training.attach.passes import Steps
from perfkit.training.attach.process import at_end_of_child, uncaught
from perfkit.training.attach.recording import Recording
from perfkit.training.attach.stop import Stop
from perfkit.training.attach.tape import Tape
from perfkit.training.attach.threads import OtherThreads
from perfkit.training.attach.watcher import Calls, queue_of
from perfkit.training.probe import worker
from perfkit.training.probe.loader import depth_reader, ready_reader, workers_of


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
        self.wants_batch = True
        """A batch is still to be looked at."""
        self.calls: Calls = self
        """Gets what the hooks see on the thread that trains: this, or a tape that notes it."""
        self._before = uncaught()
        self._started_ns, self._pid = started_ns, os.getpid()
        self._recording: Recording | None = None
        self._loaders = Loaders()
        self._others = OtherThreads()
        self._tape: Tape | None = None
        self._alone = True  # no second thread did anything

    @property
    def steps(self) -> Steps | None:
        """What is known of the steps, all of it worked up; None before the first loader or backward."""
        self.catch_up()
        return None if self._recording is None else self._recording.steps

    def catch_up(self) -> None:
        """Work up what was noted."""
        if self._tape is not None and not self.off:
            try:
                self._tape.play()
            except Exception as error:
                self.fail(error)

    @property
    def trained(self) -> int:
        """Steps in which a backward or an update happened."""
        steps = self.steps
        return 0 if steps is None else steps.trained

    @property
    def has_trained(self) -> bool:
        """Whether a step of training was seen, and it is not over."""
        return self._recording is not None and self._recording.has_trained and not self.over

    def begin(self) -> Recording:
        """Make the folder and the recorder, at the first loader, backward or update."""
        steps = self.steps
        if steps is not None and self._others.is_another(self.thread):
            steps.recorder.another_thread()
        with self._others.moving:
            return self._recording or self._begin()

    def _begin(self) -> Recording:
        folder = ProcessFolder(self.place(), self._started_ns)
        recording = Recording(folder, self.stop, self._others, lambda: forwards.watch(self))
        self._recording = recording
        self.thread = recording.thread = threading.get_ident()
        worker.install(folder.rank.loader)
        atexit.register(self.end)
        if os.getpid() != os.getpgid(0) or "multiprocessing.process" in sys.modules:
            at_end_of_child(self.end)
        return recording

    def passes(self, loader: Any, iterator: Any, iter_s: float) -> Pass:
        """Describe an iteration that has begun."""
        recording = self._recording
        assert recording is not None
        depth = depth_reader(iterator)
        ready = ready_reader(iterator, recording.folder.rank.loader)
        begun = Pass(self.number(), self.entry(loader), depth, ready)
        self.describe_pass(begun, iter_s, workers_of(iterator))
        return begun

    def entry(self, loader: Any, describe: Callable[[Any], dict[str, Any]] = describe) -> Loader:
        """Return what is known of something that is iterated over here."""
        return self._loaders.find(loader, describe)

    def describe_pass(self, begun: Pass, iter_s: float, workers: Sequence[int] = ()) -> None:
        """Tell of a pass, and of its loader if that is new.

        Args:
            workers: process ids of those that make its batches.
        """
        recording, loader = self._recording, begun.loader
        if recording is None:
            return
        described, loader.untold = loader.untold, None
        if described is not None:
            recording.loader(described)
        event: dict[str, Any] = {"pass": begun.number, "loader": loader.number, "iter_s": iter_s}
        event |= {"object": loader.objects, "workers": list(workers)}
        recording.folder.event("pass", **event, pid=os.getpid())

    def phase(self, name: str, since_ns: int) -> None:
        """A phase of the script's own is over."""
        recording = self._recording
        if self.off or recording is None:
            return
        try:
            recording.phase(name, since_ns)
        except Exception as error:
            self.fail(error)

    def may_move(self, asking: Pass | None = None) -> bool:
        """Whether the thread that calls becomes the one that trains; see `attach.threads`.

        Args:
            asking: the pass that is asked for a batch; None where a backward or an update begins.
        """
        try:
            if self.thread not in (0, threading.get_ident()):
                self._alone, self.calls = False, self
            recording = self.begin()
            with self._others.moving:
                if self.thread != threading.get_ident():
                    steps = recording.steps
                    if not self._others.may_take_over(self.thread, steps, asking):
                        return False
                    self.thread = recording.thread = threading.get_ident()
                    self._others.takes_over(steps, asking)
        except Exception as error:
            self.fail(error)
            return False
        return True

    # what the hooks pass on, on the thread that trains

    def asks(self, asking: Pass) -> None:
        """A pass asks for a batch."""
        tape, recording = self._tape, self._recording
        # what looks at the loop that asks has to be called by it
        if tape is not None and recording is not None and self.calls is tape:  # noqa: SIM102
            if tape.asks(asking, recording.look_at_ns):
                return
        steps = self.steps
        if steps is None or recording is None:
            return
        steps.asks(asking, *queue_of(asking))
        if recording.may_note and self._alone:
            self._tape = self.calls = tape or Tape(steps)

    def happened(self, what: Callable[..., None], *args: Any) -> None:
        """Something has happened: a method of `Steps`."""
        if self.off:
            return
        try:
            steps = self.steps
            if steps is not None:
                what(steps, *args)
        except Exception as error:
            self.fail(error)

    def looks_at(self, batch: Any) -> None:
        """The loop has a batch."""
        if self.off or self._recording is None:
            return
        try:
            self.wants_batch = not self._recording.looks_at(batch)
        except Exception as error:
            self.fail(error)

    def backward_begins(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A backward begins, with what it was called with."""
        try:
            (self._recording or self.begin()).backward(args, kwargs)
        except Exception as error:
            self.fail(error)
        self.happened(Steps.backward_begins)

    def backward_ends(self) -> None:
        """It has returned, or raised."""
        self.happened(Steps.backward_ends)

    def update_begins(self, optimizer: Any) -> None:
        """`optimizer.step` begins."""
        try:
            (self._recording or self.begin()).update()
        except Exception as error:
            self.fail(error)
        self.happened(Steps.update_begins, optimizer)

    def update_ends(self, optimizer: Any) -> None:
        """It has returned."""
        self.happened(Steps.update_ends, optimizer)

    def fail(self, error: BaseException) -> None:
        """Something of ours went wrong: the script goes on without us."""
        if self.off:
            return
        self.off, self.calls = True, self
        text = f"{type(error).__name__}: {error}".split("\n")[0]
        with contextlib.suppress(Exception):
            sys.stderr.write(f"perfkit: process {os.getpid()} is no longer recorded: {text}\n")
        recording = self._recording
        if recording is not None:
            with contextlib.suppress(Exception):
                recording.folder.event("fault", text=text)
            with contextlib.suppress(Exception):
                recording.recorder.close()

    def end(self) -> None:
        """The process ends: write what there is, or take away what was made for nothing."""
        steps, recording, over = self.steps, self._recording, self.over
        self.over, self.calls = True, self
        if steps is None or recording is None or over or os.getpid() != self._pid:
            return
        failed, self.off = self.off, True
        try:
            error = uncaught()
            recording.end(None if error is self._before else error, failed=failed)
        except Exception as error:
            self.off = False
            self.fail(error)

    def forget(self) -> None:
        """In a forked child: all of this is the parent's."""
        self.off, self.over = True, True
        if self._recording is not None:
            self._recording.forget()
