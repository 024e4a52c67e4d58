"""What is looked at once the timed blocks are over: a profiled burst, and what launching operators costs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from perfkit.training import dispatching
from perfkit.training.arms import Real
from perfkit.training.edges import Edges
from perfkit.training.loading import samples_of_step
from perfkit.training.loop import Loop
from perfkit.training.parts import Parts
from perfkit.training.probe import burst

PROFILED_S = 2.0
"""What the steps of a burst may take, as far as …"""
PROFILED_STEPS = (3, 8)
"""… the fewest and the most of them allow."""
LONG_STEP_S = 1.0
"""A step this long is not bound by launching operators: what that costs is not tried."""


class Profiling:
    """Looks at a few steps of one training.

    Args:
        trace: the file that the profiler's trace is written to.
    """

    def __init__(self, loop: Loop, real: Real, edges: Edges, trace: Path) -> None:
        self._loop = loop
        self._training = loop.training
        self._real = real
        self._edges = edges
        self._trace = trace

    def measure(self, step_s: float, *, stacks: bool) -> dict[str, Any]:
        """Return what was found, each of it lost alone.

        Args:
            step_s: what a step takes.
            stacks: record Python's frames too.

        Returns:
            `traced`: whether there is a trace; `synchronising`: calls per step that wait for the device, by
            place, None without one; `dispatch`: the fields of
            `perfkit.training.dispatching.Launching`, None where it does not apply.
        """
        device, recover = self._training.device, self._edges.recover
        parts = Parts()
        fewest, most = PROFILED_STEPS
        steps = min(max(fewest, int(PROFILED_S / max(step_s, 1e-6))), most)

        def profiled() -> bool:
            burst.record(self._step, steps, device, self._trace, stacks=stacks)
            return True

        traced = parts.measure("burst", profiled, recover)
        places = None
        if device.type == "cuda":
            places = parts.measure("synchronising", lambda: self._synchronising(fewest), recover)
        dispatch = None
        if any(name == "compile" for name, _ in self._training.config.variants):
            # it would be compiled anew for two samples, and its kernels are no operators
            parts.missing("dispatch", "not_applicable")
        elif step_s > LONG_STEP_S:
            parts.missing("dispatch", "no_time")
        else:
            dispatch = parts.measure("dispatch", self._dispatch, recover)
        return {
            "traced": traced is not None,
            "synchronising": places,
            "dispatch": dispatch,
            **parts.answer(),
        }

    def _step(self) -> None:
        self._loop.train_on(self._training.to_device(self._real.next()))

    def _batches(self, count: int) -> list[Any]:
        return [self._training.to_device(self._real.next()) for _ in range(count)]

    def _synchronising(self, steps: int) -> dict[str, float]:
        """Of training on batches that are on the device: copying one there is a phase of its own."""
        turns = iter(self._batches(steps))
        return burst.synchronising(lambda: self._loop.train_on(next(turns)), steps)

    def _dispatch(self) -> dict[str, float | None]:
        training = self._training
        whole, small = self._batches(2), []
        if samples_of_step(training.config) > dispatching.SMALL:
            self._edges.rest()
            small = self._edges.batches_of(dispatching.SMALL, 2)
        batches = [training.to_device(batch) for batch in small]
        return asdict(dispatching.launching(self._loop.train_on, whole, batches, training.device))
