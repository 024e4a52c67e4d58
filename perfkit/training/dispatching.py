"""What launching a step's operators costs, beside what they compute: two witnesses.

fixed_share      a step of two samples ÷ one of a whole batch: what does not shrink with the batch
operators_share  operators of a step × what dispatching one takes without gradients ÷ the step

Either alone is wrong at times; see `perfkit/diagnosis/rules/host_bound.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from perfkit.training.probe.device import synchronize

SMALL = 2
"""Samples of the small step: batch normalisation refuses one."""
ROUNDS = 5
STEPS = 3
"""Steps between two synchronisations: the host may run ahead of the device, as it does in training."""
CALLS = 500


def fixed_share(
    train: Callable[[Any], object],
    whole: Sequence[Any],
    small: Sequence[Any],
    device: torch.device,
) -> float:
    """Return the time of a small step ÷ a whole one, medians of interleaved rounds.

    Args:
        train: one training step on a batch of the device.
        whole, small: batches on the device.
    """
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(ROUNDS + 1):
        for is_small, batches in ((False, whole), (True, small)):
            synchronize(device)
            begin = time.perf_counter()
            for number in range(STEPS):
                train(batches[number % len(batches)])
            synchronize(device)
            times[is_small].append(time.perf_counter() - begin)
    # the first round sets up for the new shape
    return median(times[True][1:]) / median(times[False][1:])


def operators_of(step: Callable[[], object]) -> int:
    """Return how many operators one step dispatches, forward, backward and update; views are some, too."""
    with _Counting() as counting:
        step()
    return int(counting.count)


def dispatch_s(device: torch.device) -> float:
    """Return the seconds in which the host dispatches one small operator without gradients."""
    one = torch.ones(1, device=device)
    rounds = []
    with torch.no_grad():
        for _ in range(ROUNDS):
            synchronize(device)
            begin = time.perf_counter()
            for _ in range(CALLS):
                torch.neg(one)
            rounds.append(time.perf_counter() - begin)
    synchronize(device)
    return min(rounds) / CALLS


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))
