"""The edges of an epoch: what an epoch has besides its steps. Each is timed once a generation.

epoch_start   `iter(loader)`, the first batch and the filling of the queue, as what a fresh pass takes
              longer than as many steady steps; workers that do not persist are started again in it
partial_batch the last step of an epoch whose samples are no multiple of the batch size
evaluation    the workload's evaluation, with its own loader
periodic      metrics, plots: one run of each
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from perfkit.training.arms import Real
from perfkit.training.loop import Loop, split
from perfkit.training.probe.device import synchronize
from perfkit.training.setup import BatchOrder, ShuffledEpoch, Training, make_loader

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


def measure(loop: Loop, real: Real, order: BatchOrder, folder: str) -> dict[str, Any]:
    """Time every edge once.

    Returns:
        `epoch_start` and `pass_steps` (the pass's wall seconds and how many steps it held),
        `partial_batch`, `evaluation` in seconds, and `periodic`: by name, the seconds of a run
        (`run_s`) and how many epochs lie between two (`every`). `set_up`: by name, what the first
        evaluation or run took longer than the next, a cost that a run has once.
    """
    training = loop.training
    found: dict[str, Any] = _pass(loop, real, order)
    if training.config.partial_batch:
        found["partial_batch"] = _partial_batch(loop, real, training.config.partial_batch)
    real.close()
    context = EpochContext(training, folder)
    set_up: dict[str, float] = {}
    evaluate = training.workload.evaluate
    if evaluate is not None:
        wall_s, results, first_s = _twice(training.device, partial(evaluate, context))
        context.results = dict(results)
        found["evaluation"] = wall_s
        set_up["evaluation"] = first_s - wall_s
    found["periodic"] = {}
    for task in training.workload.periodic:
        if task.every:
            wall_s, _, first_s = _twice(training.device, partial(task.run, context))
            found["periodic"][task.name] = {"run_s": wall_s, "every": task.every}
            set_up[task.name] = first_s - wall_s
    found["set_up"] = {name: extra_s for name, extra_s in set_up.items() if extra_s > 0}
    return found


def real_epoch(loop: Loop, folder: str) -> float:
    """Time one epoch as a plain script runs it, evaluation included, periodic work not; seconds.

    With a DataLoader of its own that shuffles and keeps the partial batch, and without the recorder: an
    independent witness for the forecast. Workers that persist are started before, as in every epoch
    but the first.
    """
    training = loop.training
    config, workload = training.config, training.workload
    order = ShuffledEpoch(config)
    loader = make_loader(config, workload, order)
    if loader.persistent_workers:
        # to its end: what a pass leaves unfetched has to be made before the next can begin
        order.batches = 1
        for _ in loader:
            pass
        order.batches = None
    context = EpochContext(training, folder)

    def epoch() -> None:
        for batch in loader:
            loop.train_on(*training.to_device(split(batch)))
        if workload.evaluate is not None:
            workload.evaluate(context)

    wall_s, _ = _timed(training.device, epoch)
    return wall_s


def _pass(loop: Loop, real: Real, order: BatchOrder) -> dict[str, Any]:
    fewest, most = PASS_STEPS
    steps = min(max(fewest, loop.training.config.queue_capacity + 2), most)
    steps = min(steps, max(1, loop.training.config.steps_per_epoch))
    order.batches = steps
    real.start()
    loop.run(real, steps)
    begin = time.perf_counter()
    _end_pass(real)
    real.start()
    loop.run(real, steps)
    wall_s = time.perf_counter() - begin
    order.batches = None
    return {"epoch_start": wall_s, "pass_steps": steps}


def _end_pass(real: Real) -> None:
    """Ask past the last batch, as a for loop does: that is where workers are told to end."""
    try:
        real.next()
    except StopIteration:
        return
    raise AssertionError("the pass was longer than its batches")


def _partial_batch(loop: Loop, real: Real, samples: int) -> float:
    real.start()
    wall_s = 0.0
    # the first one sets up for the new shape, which an epoch does not pay again
    for _ in range(2):
        inputs, targets = _first_samples(split(real.next()), samples)

        def step(inputs: Any = inputs, targets: Any = targets) -> None:
            loop.train_on(*loop.training.to_device((inputs, targets)))

        wall_s, _ = _timed(loop.training.device, step)
    return wall_s


def _first_samples(batch: Any, samples: int) -> Any:
    if isinstance(batch, torch.Tensor):
        return batch[:samples]
    if isinstance(batch, dict):
        return {key: _first_samples(part, samples) for key, part in batch.items()}
    if isinstance(batch, (list, tuple)):
        parts = [_first_samples(part, samples) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch


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
