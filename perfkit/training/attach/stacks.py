"""What the training thread does in the time that nothing else explains: its stack, at most 20 times a second.

Sampled is what comes after a backward or an update. Whether that was the step's last one, or a forward
begins there, is known only when the next batch is asked for: until then the samples wait, and a further
backward discards them; what an update follows is in no phase. In a step without a loader what lies before,
between and after forward, backward and update is sampled; where no forward is seen, only waiting for another
thread or process. What a thread does that makes the batch meanwhile is sampled with it. Where forwards take
longer than backwards they are sampled as well, and so is the making of batches where the loop makes them for
itself, and updates that take long; all are told apart.
"""

from __future__ import annotations

import functools
import math
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import CodeType, FrameType
from typing import NamedTuple

from perfkit.records import LIBRARY
from perfkit.training.attach.folder import ProcessFolder
from perfkit.training.attach.passes import Steps
from perfkit.training.attach.watcher import FIRST, LATER
from perfkit.training.probe.frames import (
    Seen,
    in_network,
    seen_in,
    users_codes,
    users_line,
    waits_in,
)
from perfkit.training.probe.libraries import (
    codes_of,
    seen_fetching,
    seen_in_library,
    seen_updating,
)

EVERY_S = 0.05
SWITCH_S = 0.0001
"""Switch interval meanwhile. With the usual one, of 5 ms, what holds the interpreter for less is never seen:
whatever lets go of it next is."""
_FEEDER = "QueueFeederThread"
"""Threads of this name only pass on what a loader's workers are asked for."""
UNTRACKED, FORWARD, UPDATE = "stack", "forward_stack", "update_stack"
"""Events, by what was going on."""
MAKING = {FIRST: "first_batch_stack", LATER: "batch_stack"}
"""Events of batches that the loop makes for itself."""


class Sample(NamedTuple):
    """What one look at the stack showed."""

    seen: Seen
    """What the loop calls, of the user's own."""
    making: Seen | None
    """The library's function that a batch is made in, if the loop calls none of the user's."""
    updating: Seen | None
    """The user's function that an optimizer's step has called, if it has."""
    in_library: Seen | None
    """What a library's loop calls, if it is one and calls nothing of the user's."""
    maker: Seen | None
    """What another thread does that is waited for."""


class StackSampler:
    """A thread that looks at another one's stack.

    Args:
        steps: tells whether the time that passes is explained.
        thread: identifier of the thread to look at.
    """

    def __init__(self, steps: Steps, thread: int) -> None:
        self.thread = thread
        self.loop: Sequence[CodeType] = ()
        """The user's own code that runs while its loop asks for a batch, the outermost first."""
        self.asks_at = 0
        """Its line then."""
        self._running: Sequence[CodeType] = ()
        """All code that runs then."""
        self._steps = steps
        self._sums: dict[tuple[str, Seen], float] = {}
        self._in_steps: Counter[tuple[str, Seen]] = Counter()
        self._of_steps = 0
        self._waiting: list[tuple[str, int, Seen, float]] = []
        self._written: dict[tuple[str, Seen], float] = {}
        self._over = threading.Event()
        self._usual_s = sys.getswitchinterval()
        self._sampling = threading.Thread(target=self._run, name="perfkit-stacks", daemon=True)
        self._sampling.start()

    def look_at_loop(self, frame: FrameType) -> None:
        """A batch is asked for in this frame."""
        self.loop, self.asks_at = users_codes(frame), users_line(frame)
        self._running = codes_of(frame)

    def commit(self, steps: int = 1) -> None:
        """A batch is asked for: what was seen since the last update belonged to no step.

        What was seen before an update was in no phase of its step, and in a step without a loader all was.
        """
        self._of_steps += steps
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        known = self._steps
        last = known.moment - 1
        counted = set()
        for event, seen_at, seen, seconds in waiting:
            if event == FORWARD:
                counts = seen_at in known.forwards
            elif event == UPDATE:
                counts = seen_at in known.updates
            elif event in MAKING.values():
                counts = True
            else:
                counts = seen_at == last or seen_at in known.gaps or known.without_loader
            if counts:
                self._sums[event, seen] = self._sums.get((event, seen), 0.0) + seconds
                counted.add((event, seen))
        self._in_steps.update(counted)

    def write(self, folder: ProcessFolder) -> None:
        """Append what has changed."""
        for (event, seen), seconds in list(self._sums.items()):
            if self._written.get((event, seen)) != seconds:
                folder.event(
                    event,
                    **seen.told(),
                    seconds=seconds,
                    in_steps=self._in_steps[event, seen],
                    of_steps=self._of_steps,
                )
                self._written[event, seen] = seconds

    def stop(self) -> None:
        """Sample no more."""
        self.commit()
        self._over.set()
        self._sampling.join(2 * EVERY_S)
        self._switch_after(self._usual_s)

    def forget(self) -> None:
        """In a forked child there is no such thread."""
        self._over.set()
        self._switch_after(self._usual_s)

    def _switch_after(self, seconds: float) -> None:
        """Set the switch interval, unless the script has set one of its own."""
        now_s = sys.getswitchinterval()
        if any(math.isclose(now_s, ours_s) for ours_s in (SWITCH_S, self._usual_s)):
            sys.setswitchinterval(seconds)

    def _alone(self) -> bool:
        """Whether no other thread competes for the interpreter, which a shorter interval would serve."""
        others = [one for one in threading.enumerate() if not one.name.startswith(_FEEDER)]
        return len(others) == 2

    def _run(self) -> None:
        before = time.perf_counter()
        while not self._over.wait(EVERY_S):
            # with the short interval the thread may go on while its frames are walked
            self._switch_after(self._usual_s)
            now = time.perf_counter()
            steps = self._steps
            looks = steps.computing or steps.unexplained or steps.making or steps.updating
            if looks or steps.is_behind:
                sample = self._look()
                if sample is not None:
                    steps.once_known(functools.partial(self._saw, sample, now - before))
            if self._alone():
                self._switch_after(SWITCH_S)
            before = now

    def _look(self) -> Sample | None:
        """Look at the thread's stack; None where it has gone on before it was walked to its end."""
        frames = sys._current_frames()
        frame = frames.get(self.thread)
        if frame is None:
            return None
        seen = seen_in(frame, self.loop)._replace(
            in_network=in_network(frame), waits_in=waits_in(frame)
        )
        sample = Sample(
            seen=seen,
            making=None if seen.called else seen_fetching(frame),
            updating=seen_updating(frame),
            in_library=None if seen.called else seen_in_library(frame, self._running),
            maker=self._maker(frames) if seen.waits_in else None,
        )
        # a frame that has returned no longer says what called it
        return sample if users_codes(frame)[:1] == tuple(self.loop[:1]) or not self.loop else None

    def _maker(self, frames: Mapping[int, FrameType]) -> Seen | None:
        """What the thread does that makes the batches that are waited for; None where none or several may."""
        apart = (self.thread, threading.get_ident())
        others = [frame for thread, frame in frames.items() if thread not in apart]
        found = [seen_in(frame, ()) for frame in others if not waits_in(frame)]
        makers = [seen for seen in found if seen.called]
        return makers[0] if len(makers) == 1 else None

    def _saw(self, sample: Sample, seconds: float) -> None:
        """Keep what was seen at a moment that `Steps` knows now, if nothing else explains it."""
        seen = sample.seen
        steps = self._steps
        forward = steps.computing
        if steps.making is not None:
            if not seen.called:
                seen = sample.making or seen._replace(function=LIBRARY)
            self._waiting.append((MAKING[steps.making], steps.moment, seen, seconds))
            return
        if steps.updating:
            seen = sample.updating or seen._replace(function=LIBRARY, inner="", called=False)
            self._waiting.append((UPDATE, steps.moment, seen, seconds))
            return
        # a line that asks for batches and computes with them calls a library's loop
        if not seen.called and forward and seen.line == self.asks_at:
            seen = seen._replace(function=LIBRARY)
        explained = forward or steps.sees_forward or not steps.without_loader
        if (forward or steps.unexplained) and (explained or seen.waits_in):
            if not forward and sample.in_library is not None:
                seen = sample.in_library._replace(
                    in_network=seen.in_network, waits_in=seen.waits_in
                )
            event = FORWARD if forward else UNTRACKED
            self._waiting.append((event, steps.moment, seen, seconds))
            if sample.maker is not None and steps.without_loader:
                self._waiting.append((MAKING[LATER], steps.moment, sample.maker, seconds))
