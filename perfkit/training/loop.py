"""The training loop: the one place where a step runs and a block is timed."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from perfkit.records import BACKWARD, FORWARD, H2D, OPTIMIZER, STEPS
from perfkit.stats import halves_agree
from perfkit.training.arms import Source
from perfkit.training.failures import BadLoss
from perfkit.training.loading import samples_of_step
from perfkit.training.probe import worker
from perfkit.training.probe.device import synchronize
from perfkit.training.probe.memory import device_memory
from perfkit.training.probe.recorder import Recorder
from perfkit.training.setup import Training

EXTENSIONS = 2
"""How often a block that is not steady is run again before it is flagged."""
DIVERGED = 100.0
"""A loss this many times its first value has left every bound."""
WARM_STEPS = 3
"""The fewest steps of a warm-up after the first: lazy initialisation, autotuning, allocator growth."""
WARM_STEPS_MOST = 200


@dataclass(frozen=True)
class Block:
    """One timed stretch of steps. `start_ns` and `end_ns` are taken with the device idle."""

    first_step: int
    steps: int
    start_ns: int
    end_ns: int
    queue_start: int
    queue_end: int
    extensions: int
    steady: bool
    unsteady_because: str | None
    loss: float


class Loop:
    """Runs steps of a training under one recorder."""

    def __init__(self, training: Training, recorder: Recorder, steps_file: Path) -> None:
        self.training = training
        self.recorder = recorder
        self._steps_file = steps_file
        self._samples = samples_of_step(training.config)
        self._loss: torch.Tensor | None = None
        self._first_loss: float | None = None

    def step(self, source: Source) -> None:
        """One training step on the next batch of `source`, every phase of it marked."""
        recorder = self.recorder
        recorder.before_next(source.depth(), source.ready())
        batch = source.next()
        recorder.after_next(self._samples)
        recorder.enter(H2D)
        batch = self.training.to_device(batch)
        recorder.leave(H2D)
        self.train_on(batch, recorder)

    def train_on(self, batch: Any, recorder: Recorder | None = None) -> torch.Tensor:
        """Forward, backward and update on one batch on the device; returns the loss, still there.

        Under `accumulate` so many batches make one update, by the mean of their gradients; those that wait
        for one when an epoch ends go on into the next.
        """
        training, accumulate = self.training, self.training.config.accumulate
        if recorder is not None:
            recorder.enter(FORWARD)
        with training.autocast():
            loss = training.loss_of(batch)
        if recorder is not None:
            recorder.leave(FORWARD)
            recorder.enter(BACKWARD)
        scaler = training.scaler
        part = loss if accumulate == 1 else loss / accumulate
        (part if scaler is None else scaler.scale(part)).backward()
        if recorder is not None:
            recorder.leave(BACKWARD)
            recorder.enter(OPTIMIZER)
        training.accumulated += 1
        if training.accumulated == accumulate:
            self._update()
        if recorder is not None:
            recorder.leave(OPTIMIZER)
        self._loss = loss.detach()
        return self._loss

    def _update(self) -> None:
        """Every optimizer's step, with the gradients that there are."""
        scaler = self.training.scaler
        for optimizer in self.training.optimizers:
            if scaler is None:
                optimizer.step()
            else:
                scaler.step(optimizer)
        if scaler is not None:
            scaler.update()
        self.training.forget_gradients()

    def run(self, source: Source, steps: int) -> tuple[int, int]:
        """Run steps with the device synchronised once before and once after, and never between.

        Returns:
            `perf_counter_ns` at both ends.
        """
        synchronize(self.training.device)
        start_ns = time.perf_counter_ns()
        for _ in range(steps):
            self.step(source)
        self.recorder.end_step()
        synchronize(self.training.device)
        end_ns = time.perf_counter_ns()
        self.recorder.drain()
        worker.write()
        return start_ns, end_ns

    def block(self, number: int, source: Source, steps: int, extensions: int = EXTENSIONS) -> Block:
        """Time a block; one whose halves disagree, or in which something was set up, is run again.

        Args:
            extensions: how often at most.

        Raises:
            BadLoss: the loss is not finite at the end, or has diverged.
        """
        self.recorder.block = number
        try:
            for extension in itertools.count():
                set_up = self._set_up_so_far()
                queue_start = source.depth()
                first = self.recorder.steps
                start_ns, end_ns = self.run(source, steps)
                queue_end = source.depth()
                why = self._why_unsteady(first, steps, set_up)
                if why is None or extension == extensions:
                    break
        finally:
            self.recorder.block = -1
        return Block(
            first, steps, start_ns, end_ns, queue_start, queue_end, extension, why is None, why,
            self.check_loss(),
        )  # fmt: skip

    def warm_up(self, source: Source, seconds: float, steps: int) -> float:
        """Run until caches, autotuners and the allocator have settled.

        Args:
            seconds: the least it takes.
            steps: the fewest steps, besides `WARM_STEPS`.

        Returns:
            Median seconds of a step in its second half.
        """
        start = time.perf_counter()
        done = 0
        least = max(WARM_STEPS, steps)
        while done < least or time.perf_counter() - start < seconds:
            self.run(source, 1 if done < WARM_STEPS else 2)
            done += 1 if done < WARM_STEPS else 2
            if done >= max(least, WARM_STEPS_MOST):
                break
        self.check_loss()
        times = self._step_times(self.recorder.steps - done, done)
        later = sorted(times[len(times) // 2 :])
        return later[len(later) // 2]

    def run_delay_s(self) -> float | None:
        """Mean seconds of a recorded step that this thread waited for a core; None where it is unknown."""
        delays = [
            record.run_delay_s
            for record in STEPS.read(self._steps_file)
            if not math.isnan(record.run_delay_s)
        ]
        return fmean(delays) if delays else None

    def check_loss(self) -> float:
        """Read the last loss; call it with the device idle.

        Raises:
            BadLoss: it is not finite, or far above the first one.
        """
        if self._loss is None:
            return math.nan
        value = float(self._loss)
        if not math.isfinite(value):
            raise BadLoss(f"the loss is {value} after {self.recorder.steps} steps")
        if self._first_loss is None:
            self._first_loss = value
        elif abs(value) > DIVERGED * max(abs(self._first_loss), 1.0):
            raise BadLoss(
                f"the loss diverged: {value:.3g} after {self.recorder.steps} steps,"
                f" {self._first_loss:.3g} at first"
            )
        return value

    def _step_times(self, first: int, count: int) -> list[float]:
        records = STEPS.read(self._steps_file, first=first, count=count)
        return [r.own_step_s for r in records]

    def _why_unsteady(self, first: int, steps: int, set_up: tuple[int | None, int]) -> str | None:
        now = self._set_up_so_far()
        if now[1] != set_up[1]:
            return "recompiled"
        if now[0] != set_up[0]:
            return "the allocator grew"
        if not halves_agree(self._step_times(first, steps)):
            return "its halves disagree"
        return None

    def _set_up_so_far(self) -> tuple[int | None, int]:
        return device_memory(self.training.device).values["num_segments"], compiled_graphs()


def compiled_graphs() -> int:
    """How many graphs torch.compile has made in this process; 0 where it cannot be told."""
    import sys

    utilities = sys.modules.get("torch._dynamo.utils")
    counters = getattr(utilities, "counters", None)
    return int(counters["stats"]["unique_graphs"]) if counters is not None else 0
