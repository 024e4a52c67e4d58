"""The edges of an epoch: what an epoch has besides its steps. Each is timed once a generation.

epoch_start   `iter(loader)`, the first batch and the filling of the queue, as what a fresh pass takes
              longer than as many steady steps; workers that do not persist are started again in it
partial_batch the last step of an epoch whose samples are no multiple of the batch size
evaluation    the workload's evaluation, with its own loader
periodic      metrics, plots: one run of each

Each is lost alone: what one of them leaves half-way is put in order before the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from perfkit.records import EVALUATION, PERIODIC
from perfkit.training.arms import Real
from perfkit.training.loading import BatchOrder, epoch_loader, is_stream, make_loader, partial_batch
from perfkit.training.loop import Loop
from perfkit.training.parts import Parts
from perfkit.training.probe.device import synchronize
from perfkit.training.setup import Training

TWICE_S = 20.0
"""An evaluation that is longer than this is not run twice to tell its set-up from the rest."""
PARTS_OF_A_STREAM = "each worker's part of a stream ends in a partial batch of its own"
"""Why the partial batch of an epoch is not known there: the dataset decides how large the parts are."""
PASS_STEPS = (4, 24)
"""Fewest and most steps of the passes that price the start of an epoch."""


class EpochContext:
    """What evaluation and periodic work may use; see `perfkit.training.workload.Epoch`.

    The model is the eager one also where the steps run a compiled one: evaluation would otherwise
    compile a second graph, a cost of the first epoch and not of every one.
    """

    def __init__(self, training: Training, folder: str) -> None:
        self._training = training
        self.model = training.model
        self.device = training.device
        self.folder = folder
        self.results: dict[str, Any] = {}

    def autocast(self) -> Any:
        return self._training.autocast()

    def loader(self, dataset: Dataset[Any]) -> DataLoader[Any]:
        return make_loader(self._training.config, self._training.workload, None, dataset)


class Edges:
    """The edges of one training.

    Args:
        loader: the training set's, `real` is over it.
        order: its batches.
        folder: where evaluation and periodic work may write.
    """

    def __init__(
        self, loop: Loop, real: Real, loader: DataLoader[Any], order: BatchOrder, folder: str
    ) -> None:
        self._loop = loop
        self._training = loop.training
        self._real = real
        self._loader: Any = loader
        self._order = order
        self._folder = folder

    def measure(self, parts: Parts, repeat_s: float | None = None) -> dict[str, Any]:
        """Time every edge once; what is lost is noted in `parts` and left out.

        Args:
            repeat_s: what a second evaluation may take; one that took longer is not run again, and has
                `evaluation_repeat` among what is unavailable. None: as long as `TWICE_S`.

        Returns:
            `epoch_start` and `pass_steps` (the pass's wall seconds and how many steps it held),
            `partial_batch`, `evaluation` in seconds, and `periodic`: by name, the seconds of a run
            (`run_s`) and how many epochs lie between two (`every`). `set_up`: by name, what the first
            evaluation or run took longer than the next, a cost that a run has once.
        """
        workload = self._training.workload
        found: dict[str, Any] = parts.measure("epoch_start", self._pass, self.recover) or {}
        config = self._training.config
        samples = partial_batch(config, workload)
        if samples and is_stream(workload) and config.num_workers > 1:
            parts.missing("partial_batch", "not_supported", PARTS_OF_A_STREAM)
        elif samples:
            once = partial(self._partial_batch, samples)
            wall_s = parts.measure("partial_batch", once, self.recover)
            if wall_s is not None:
                found["partial_batch"] = wall_s
        try:
            self.rest()
        except Exception:
            # a worker that died since; without its iterator the loader is at rest, too
            self.recover()
        context = EpochContext(self._training, self._folder)
        set_up: dict[str, float] = {}
        if workload.evaluate is not None:
            timed = parts.measure(
                "evaluation",
                partial(self._evaluation, workload.evaluate, context, repeat_s),
                self.recover,
            )
            if timed is not None:
                found["evaluation"], set_up["evaluation"], repeats = timed
                if not repeats and repeat_s is not None:
                    parts.missing("evaluation_repeat", "no_time")
        found["periodic"] = {}
        for task in workload.periodic:
            if not task.every:
                continue
            run = self._as(PERIODIC, partial(task.run, context))
            once_run = partial(_twice, self._training.device, run)
            done = parts.measure(task.name, once_run, self.recover)
            if done is not None:
                wall_s, _, first_s = done
                found["periodic"][task.name] = {"run_s": wall_s, "every": task.every}
                set_up[task.name] = first_s - wall_s
        found["set_up"] = {name: extra_s for name, extra_s in set_up.items() if extra_s > 0}
        return found

    def real_epoch(self) -> float:
        """Time one epoch as a plain script runs it, evaluation included, periodic work not; seconds.

        With a DataLoader of its own (`perfkit.training.loading.epoch_loader`) and without the recorder: an
        independent witness for the forecast.
        """
        self.rest()
        loop, training = self._loop, self._training
        workload = training.workload
        loader = epoch_loader(training.config, workload)
        context = EpochContext(training, self._folder)

        def epoch() -> None:
            for batch in loader:
                loop.train_on(training.to_device(batch))
            if workload.evaluate is not None:
                workload.evaluate(context)

        wall_s, _ = _timed(training.device, epoch)
        return wall_s

    def rest(self) -> None:
        """Leave the training loader as the end of an epoch does: no batch is being made.

        Workers that persist would otherwise go on filling the queue of an endless pass, and what is timed
        next would share its cores with them.
        """
        if getattr(self._loader, "_iterator", None) is not None:
            with self._order.limited(0):
                self._real.start()
                _end_pass(self._real)
        self._real.close()

    def first_batch(self) -> Any:
        """The loader's first batch of a fresh pass, with the loader at rest afterwards."""
        return self.batches_of(self._order.size, 1)[0]

    def recover(self) -> None:
        """Put in order what a failure may have left half-way: a step, the loader, the model's mode."""
        self._loop.recorder.end_step()
        self._real.close()
        # workers that persist may be dead, or in the middle of a pass: the next pass starts its own
        self._loader._iterator = None
        self._training.recover()

    def _pass(self) -> dict[str, Any]:
        fewest, most = PASS_STEPS
        config = self._training.config
        steps = min(max(fewest, config.queue_capacity + 2), most)
        # as many updates for so many steps as in a block
        steps = config.whole_updates(min(steps, max(1, config.steps_per_epoch)))
        with self._order.limited(steps):
            self._real.start()
            self._loop.run(self._real, steps)
            begin = time.perf_counter()
            _end_pass(self._real)
            self._real.start()
            self._loop.run(self._real, steps)
            wall_s = time.perf_counter() - begin
            _end_pass(self._real)
        return {"epoch_start": wall_s, "pass_steps": steps}

    def _partial_batch(self, samples: int) -> float:
        # the first one sets up for the new shape, which an epoch does not pay again
        wall_s = 0.0
        for batch in self.batches_of(samples, 2):
            wall_s, _ = _timed(self._training.device, partial(self._step, batch))
        return wall_s

    def batches_of(self, samples: int, count: int) -> list[Any]:
        """Batches of so many samples from the loader, which is at rest afterwards."""
        with self._order.limited(count, samples):
            self._real.start()
            batches = [self._real.next() for _ in range(count)]
            _end_pass(self._real)
        self._real.close()
        return batches

    def _step(self, batch: Any) -> None:
        self._loop.train_on(self._training.to_device(batch))

    def _as(self, phase: int, call: Callable[[], Any]) -> Callable[[], Any]:
        """Have the recorder keep a span of every call."""
        recorder = self._loop.recorder

        def recorded() -> Any:
            recorder.enter(phase)
            try:
                return call()
            finally:
                recorder.leave(phase)

        return recorded

    def _evaluation(
        self, evaluate: Callable[[Any], Any], context: Any, repeat_s: float | None
    ) -> tuple[float, float, bool]:
        run = self._as(EVALUATION, partial(evaluate, context))
        most_s = TWICE_S if repeat_s is None else min(TWICE_S, repeat_s)
        wall_s, results, first_s = _twice(self._training.device, run, most_s)
        context.results = dict(results or {})
        return wall_s, first_s - wall_s, first_s <= most_s


def _end_pass(real: Real) -> None:
    """Ask past the last batch, as a for loop does: that is where workers are told to end."""
    try:
        real.next()
    except StopIteration:
        return
    raise AssertionError("the pass was longer than its batches")


def _twice(
    device: torch.device, call: Callable[[], Any], most_s: float = TWICE_S
) -> tuple[float, Any, float]:
    """Time a call that may set something up when it is first made: imports, kernels, caches.

    Returns:
        Seconds of the second call, its result, seconds of the first. A call that takes longer than
        `most_s` is made once, and counts as it is.
    """
    first_s, result = _timed(device, call)
    if first_s > most_s:
        return first_s, result, first_s
    wall_s, result = _timed(device, call)
    return wall_s, result, first_s


def _timed(device: torch.device, call: Callable[[], Any]) -> tuple[float, Any]:
    synchronize(device)
    begin = time.perf_counter()
    result = call()
    synchronize(device)
    return time.perf_counter() - begin, result
