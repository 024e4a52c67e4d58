"""The first batch that is ever trained with: several updates on it may be one step, or many without a loader.

A step of a GAN makes several, and its loader is asked for another batch then. A script that only looked at a
batch, or that uses one over and over, makes updates and asks no more. Until that is known each update is set
aside as a step of its own.
"""

from __future__ import annotations

from typing import Any

from perfkit.training.attach.loaders import Pass
from perfkit.training.attach.recorder import LateRecorder

MOST_UPDATES = 16
"""Updates from which on it is taken that no loader will be asked: more than those of a step in which a critic
learns five times (Gulrajani et al., "Improved Training of Wasserstein GANs")."""


class FirstBatch:
    """Takes the step of the first batch apart, and puts it together again if it was one.

    Args:
        recorder: where the step runs.
    """

    def __init__(self, recorder: LateRecorder) -> None:
        self.splits = 0
        """Steps that were set aside."""
        self._recorder = recorder
        self._optimizers: list[Any] = []  # of the updates, in order
        self._whole = False  # the last thing that happened was an update
        self._before = 0, 0  # backwards and updates of the pass before it was taken apart

    @property
    def is_known(self) -> bool:
        """Whether so many updates were made that no other batch is waited for."""
        return len(self._optimizers) > MOST_UPDATES

    def begin(self) -> None:
        """The batch is trained with for the first time."""
        self._optimizers, self._whole = [], False

    def updated(self, optimizer: Any) -> None:
        """An update on the batch has been made."""
        self._optimizers.append(optimizer)
        self._whole = True

    def goes_on(self, running: Pass, block: int, last_ns: int) -> None:
        """A backward or an update begins; the one before ended at `last_ns`."""
        if not self._whole:
            return
        if not self.splits:
            self._before = running.backwards, running.updates
        self._whole = False
        self.splits += 1
        self._recorder.block = block
        self._recorder.split(last_ns)

    def ends(self, running: Pass, asking: Pass | None) -> int:
        """Another pass, or the same one, asks for a batch, or none does any more.

        Returns:
            The steps without a loader that end with it, but for the one that runs; 0 where all is one step.
        """
        splits, self.splits, self._whole = self.splits, 0, False
        optimizers, self._optimizers = self._optimizers, []
        if not splits:
            return 0
        again = len({id(one) for one in optimizers}) < len(optimizers)
        if not again or (asking is not None and asking.loader is running.loader):
            self._recorder.fold()
            return 0
        self._recorder.release()
        running.backwards, running.updates = self._before
        return splits
