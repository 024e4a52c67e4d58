"""What a process answers that goes through the arms of a diagnosis, every number of it exact.

The training is a `Plant` of `evidences`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from evidences import CONFIG, STEPS, Plant, planted

from perfkit.config import RunConfig
from perfkit.diagnosis.evidence import Evidence, Stretch
from perfkit.engine.results import BlockResult

OWN_PARTS = ("epoch_start", "evaluation")
EVERY = {"metrics": "metrics_every", "visualisation": "viz_every"}
"""Settings that say how often periodic work is done; any other is done once in a run."""


@dataclass(frozen=True)
class FakeArms:
    """One planted training on a machine of so many cores."""

    plant: Plant
    config: RunConfig
    cores: int

    @cached_property
    def made(self) -> Evidence:
        """The evidence that should come of it."""
        cuda = not self.config.device.startswith("cpu")
        return planted(self.plant, self.config.num_workers, cores=self.cores, cuda=cuda)

    def warm_up(self) -> dict[str, Any]:
        """What the process tells before its arms are chosen."""
        first = self._of_arm("real")[0]
        told = {"step_s": first.mean_step_s, "run_delay_s": first.run_delay_s}
        if first.workers_cpu_s is not None:
            told["workers_cores"] = first.workers_cpu_s / first.wall_s
        return told

    def blocks(
        self, arms: Sequence[str], palindromes: int, noise: Callable[[int], float]
    ) -> tuple[BlockResult, ...]:
        """Palindromes of these arms.

        Args:
            noise: factor on the seconds of a block's steps, by the block's number.
        """
        order = (*arms, *reversed(arms)) * palindromes
        each = 2 * len(arms)
        return tuple(
            self._block(number, number // each, self._of_arm(arm)[0], noise(number))
            for number, arm in enumerate(order)
        )

    def answers(self, load_s: float) -> dict[str, Any]:
        """The fields of a ProcessResult beside its blocks: edges, one-time costs, the loader alone.

        Args:
            load_s: seconds that the loader was timed alone; 0: it was not.
        """
        parts = self.plant.parts_s
        step_s = self._of_arm("real")[0].mean_step_s
        periodic = {}
        for name, epoch_s in parts.items():
            if name not in OWN_PARTS:
                usual, every = (
                    (c.count_of(EVERY[name]) if name in EVERY else c.epochs)
                    for c in (CONFIG, self.config)
                )
                periodic[name] = {"run_s": epoch_s * usual, "every": every}
        return {
            "edges": {
                "epoch_start": 4 * step_s + parts.get("epoch_start", 0.0),
                "pass_steps": 4,
                "evaluation": parts.get("evaluation", 0.0),
                "periodic": periodic,
            },
            "startup_s": dict(self.plant.startup_s),
            "loader_samples_per_sec": self.made.row.loader["samples_per_sec"] if load_s else None,
        }

    def _of_arm(self, arm: str) -> list[Stretch]:
        return [stretch for stretch in self.made.stretches if stretch.arm == arm]

    def _block(self, number: int, palindrome: int, told: Stretch, factor: float) -> BlockResult:
        real = told.arm == "real"
        row = self.made.row
        start_ns = number * 10**12
        wait_s = fmean(told.wait_s)
        phases = row.phases_s if real else {"waiting": 0.0, "transfer": wait_s}
        loader = {n: v for n, v in row.loader.items() if v is not None and n != "samples_per_sec"}
        queued = self.config.queue_capacity if told.ready[0] else 0
        return BlockResult(
            number=number,
            arm=told.arm,
            palindrome=palindrome,
            steps=STEPS,
            samples=STEPS * self.config.batch_size,
            start_ns=start_ns,
            end_ns=start_ns + round(told.wall_s * factor * 1e9),
            deferred_s=0.0,
            step_times_s=tuple(step_s * factor for step_s in told.step_s),
            phases_s={name: seconds * factor for name, seconds in phases.items()},
            exposed_wait_s=wait_s * factor,
            queue_start=queued,
            queue_end=queued,
            steady=True,
            unsteady_because=None,
            disturbed=told.disturbed,
            foreign_cpu_s=0.0,
            own_s=STEPS * 1e-6,
            loader=loader if real else {},
            phases_clock=row.phases_clock,
            not_ready_share=told.ready.count(0) / STEPS,
            run_delay_s=None if told.run_delay_s is None else told.run_delay_s * factor,
            waits_s=tuple(wait_s * factor for wait_s in told.wait_s),
            ready=told.ready,
            workers_cpu_s=told.workers_cpu_s,
        )
