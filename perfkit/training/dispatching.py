"""What launching a step's operators costs, beside what they compute: two witnesses.

fixed_share      a step of two samples ÷ one of a whole batch: what does not shrink with the batch
operators_share  operators of a step × what dispatching one takes ÷ the step

Either alone is wrong at times; see `perfkit/diagnosis/rules/host_bound.py`. What is divided is timed in the
same rounds: a machine that changes its pace changes it for both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from perfkit.training.probe.device import synchronize

SMALL = 2
"""Samples of the small step: batch normalisation refuses one."""
ROUNDS, LEAST_ROUNDS = 7, 3
MOST_S = 2.0
"""Time after which there are no more rounds than the least: of long steps a few tell as much."""
STEPS = 3
"""Steps between two synchronisations: the host may run ahead of the device, as it does in training."""
CHAIN = 200
"""Operators whose launching is timed, forward, and as many backward."""


@dataclass(frozen=True, kw_only=True)
class Launching:
    """What launching a step costs."""

    operators: int
    """Operators that a step dispatches, forward, backward and update; views are some, too."""
    operators_share: float
    fixed_share: float | None
    """None where the batch is as small as the small one."""


def launching(
    train: Callable[[Any], object],
    whole: Sequence[Any],
    small: Sequence[Any],
    device: torch.device,
) -> Launching:
    """Time steps on whole batches, on small ones, and a chain of small operators, in turns.

    The chain negates one number, forward and backward, as training dispatches operators. Priced without
    gradients a step that did nothing but launch came out at 0.3 to 0.5, and so it does at 1.

    Args:
        train: one training step on a batch of the device.
        whole, small: batches on the device; no small ones where there is no smaller batch.
    """
    one = torch.ones(1, device=device, requires_grad=True)

    def chain() -> None:
        _chain(one)

    def steps(batches: Sequence[Any]) -> Callable[[], None]:
        def run() -> None:
            for number in range(STEPS):
                train(batches[number % len(batches)])

        return run

    turns = {"whole": steps(whole), "chain": chain}
    if small:
        turns["small"] = steps(small)
    times: dict[str, list[float]] = {name: [] for name in turns}
    began = time.perf_counter()
    for number in range(ROUNDS + 1):
        # the first one sets up, and does not count
        if number > LEAST_ROUNDS and time.perf_counter() - began > MOST_S:
            break
        for name, run in turns.items():
            synchronize(device)
            begin = time.perf_counter()
            run()
            if name != "chain":
                # what the device does with the chain is nobody's dispatching
                synchronize(device)
            times[name].append(time.perf_counter() - begin)
    # the first round sets up, for the new shape too
    medians = {name: median(each[1:]) for name, each in times.items()}
    operators = operators_of(lambda: train(whole[0]))
    dispatch_s = medians["chain"] / operators_of(chain)
    return Launching(
        operators=operators,
        operators_share=operators * dispatch_s * STEPS / medians["whole"],
        fixed_share=medians["small"] / medians["whole"] if small else None,
    )


def chain_s(device: torch.device) -> float:
    """Return the seconds that a chain of `CHAIN` small operators takes forward and backward."""
    one = torch.ones(1, device=device, requires_grad=True)
    with torch.enable_grad():
        begin = time.perf_counter()
        _chain(one)
        return time.perf_counter() - begin


def _chain(one: torch.Tensor) -> None:
    x = one
    for _ in range(CHAIN):
        x = torch.neg(x)
    x.backward()  # type: ignore[no-untyped-call]
    one.grad = None


def operators_of(step: Callable[[], object]) -> int:
    """Return how many operators a step dispatches."""
    with _Counting() as counting:
        step()
    return int(counting.count)


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))
