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
from perfkit.training.loop import Loop
from perfkit.training.parts import Parts
from perfkit.training.probe.device import synchronize
from perfkit.training.setup import (
    BatchOrder,
    ShuffledEpoch,
    Training,
    make_loader,
    partial_batch,
)

TWICE_S = 20.0
"""An evaluation that is longer than this is not run twice to tell its set-up from the rest."""
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

    def measure(self, parts: Parts) -> dict[str, Any]:
        """Time every edge once; what is lost is noted in `parts` and left out.

        Returns:
            `epoch_start` and `pass_steps` (the pass's wall seconds and how many steps it held),
            `partial_batch`, `evaluation` in seconds, and `periodic`: by name, the seconds of a run
            (`run_s`) and how many epochs lie between two (`every`). `set_up`: by name, what the first
            evaluation or run took longer than the next, a cost that a run has once.
        """
        workload = self._training.workload
        found: dict[str, Any] = parts.measure("epoch_start", self._pass, self.recover) or {}
        samples = partial_batch(self._training.config, workload)
        if samples:
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
                "evaluation", partial(self._evaluation, workload.evaluate, context), self.recover
            )
            if timed is not None:
                found["evaluation"], set_up["evaluation"] = timed
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

        With a DataLoader of its own that shuffles and keeps the partial batch, unless the workload drops
        it, and without the recorder: an independent witness for the forecast. Workers that persist are
        started before, as in every epoch but the first.
        """
        self.rest()
        loop, training = self._loop, self._training
        config, workload = training.config, training.workload
        order = ShuffledEpoch(config, drop_last=workload.drop_last)
        loader = make_loader(config, workload, order)
        if loader.persistent_workers:
            # to its end: what a pass leaves unfetched has to be made before the next can begin
            order.batches = 1
            for _ in loader:
                pass
            order.batches = None
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
        steps = min(steps, max(1, config.steps_per_epoch))
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

    def _evaluation(self, evaluate: Callable[[Any], Any], context: Any) -> tuple[float, float]:
        run = self._as(EVALUATION, partial(evaluate, context))
        wall_s, results, first_s = _twice(self._training.device, run)
        context.results = dict(results or {})
        return wall_s, first_s - wall_s


def _end_pass(real: Real) -> None:
    """Ask past the last batch, as a for loop does: that is where workers are told to end."""
    try:
        real.next()
    except StopIteration:
        return
    raise AssertionError("the pass was longer than its batches")


def _twice(device: torch.device, call: Callable[[], Any]) -> tuple[float, Any, float]:
    """Time a call that may set something up when it is first made: imports, kernels, caches.

    Returns:
        Seconds of the second call, its result, seconds of the first. A call that takes longer than
        `TWICE_S` is made once, and counts as it is.
    """
    first_s, result = _timed(device, call)
    if first_s > TWICE_S:
        return first_s, result, first_s
    wall_s, result = _timed(device, call)
    return wall_s, result, first_s


def _timed(device: torch.device, call: Callable[[], Any]) -> tuple[float, Any]:
    synchronize(device)
    begin = time.perf_counter()
    result = call()
    synchronize(device)
    return time.perf_counter() - begin, result
