"""When the training thread is looked at: where much of its time is in no step, or a part takes long."""

from __future__ import annotations

import sys

from perfkit.training.attach.folder import ProcessFolder
from perfkit.training.attach.passes import Steps
from perfkit.training.attach.stacks import StackSampler

LOOK_EVERY_NS = 5_000_000_000
"""Time over which untracked time is summed."""
UNTRACKED_SHARE = 0.10
"""From this part of it on, the stacks are sampled."""
LONG_UPDATE = 0.25
"""From this part of the time on, updates are looked at; those of most trainings take less."""


class Untracked:
    """Looks at how much of the time is in no step, and samples the stacks where that is much.

    Args:
        steps: tells how much that is.
        now_ns: `perf_counter_ns`.
    """

    def __init__(self, steps: Steps, now_ns: int) -> None:
        self._steps = steps
        self._sampler: StackSampler | None = None
        self.look_at_ns = now_ns + LOOK_EVERY_NS
        """When it will look next."""
        self._before_ns = 0
        self._before_forward_ns = self._before_backward_ns = self._before_making_ns = 0
        self._before_update_ns = 0

    def look(self, folder: ProcessFolder, thread: int, now_ns: int, steps: int = 1) -> None:
        """A batch is asked for.

        Args:
            thread: the one that trains.
            steps: that were told of since the last look.
        """
        sampler = self._sampler
        if sampler is not None:
            sampler.commit(steps)
            sampler.thread = thread
        # an evaluation that follows what takes the time would have each look come too early
        if now_ns < self.look_at_ns or not self._steps.in_training:
            return
        gone_ns = now_ns - self.look_at_ns + LOOK_EVERY_NS
        untracked_ns = self._steps.untracked_ns
        share = (untracked_ns - self._before_ns) / gone_ns
        self._before_ns, self.look_at_ns = untracked_ns, now_ns + LOOK_EVERY_NS
        long = self._long_forward(gone_ns), self._makes_batches(gone_ns), self._long_update(gone_ns)
        if sampler is not None:
            sampler.write(folder)
            sampler.look_at_loop(sys._getframe())
        elif share > UNTRACKED_SHARE or any(long):
            self._sampler = StackSampler(self._steps, thread)
            self._sampler.look_at_loop(sys._getframe())

    def _long_forward(self, gone_ns: int) -> bool:
        """Whether forwards have taken longer than backwards since the last look, and much of the time."""
        steps = self._steps
        forward_ns = steps.forward_ns - self._before_forward_ns
        backward_ns = steps.backward_ns - self._before_backward_ns
        self._before_forward_ns, self._before_backward_ns = steps.forward_ns, steps.backward_ns
        return forward_ns > max(backward_ns, UNTRACKED_SHARE * gone_ns)

    def _makes_batches(self, gone_ns: int) -> bool:
        """Whether the loop has made its batches itself since the last look, for much of the time."""
        making_ns, self._before_making_ns = self._before_making_ns, self._steps.making_ns
        return self._before_making_ns - making_ns > UNTRACKED_SHARE * gone_ns

    def _long_update(self, gone_ns: int) -> bool:
        """Whether updates have taken much of the time since the last look."""
        update_ns, self._before_update_ns = self._before_update_ns, self._steps.update_ns
        return self._before_update_ns - update_ns > LONG_UPDATE * gone_ns

    def end(self, folder: ProcessFolder) -> None:
        """The process ends: sample no more, and append what has changed."""
        if self._sampler is not None:
            self._sampler.stop()
            self._sampler.write(folder)

    def forget(self) -> None:
        """In a forked child there is no such thread."""
        if self._sampler is not None:
            self._sampler.forget()
