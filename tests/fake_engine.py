"""An executor that answers plans with exact numbers: no process, no clock but its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from perfkit.config import RunConfig
from perfkit.document import Status
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.results import BlockResult, GenerationResult, ProcessResult

START_S = 5.0
BLOCK_S = 1.0

Noise = Callable[[str, int, int], float]
"""(row key, generation, block) → factor on the step time."""


@dataclass
class FakeEngine:
    """Runs plans on a clock that advances by what real processes would take.

    Args:
        step_s: by row key, the exact seconds of a step.
        noise: factor on a block's step time.
        fails: by (row key, generation), the status that process ends with.
    """

    step_s: Mapping[str, float]
    noise: Noise = lambda key, generation, block: 1.0
    fails: Mapping[tuple[str, int], Status] = field(default_factory=dict)
    epoch_start_s: float = 0.0
    evaluation_s: float = 0.0
    now_s: float = 0.0
    plans: list[GenerationPlan] = field(default_factory=list)

    def clock(self) -> float:
        return self.now_s

    def run(self, plan: GenerationPlan) -> GenerationResult:
        self.plans.append(plan)
        began = self.now_s
        self.now_s += START_S
        processes = tuple(self._process(row, plan) for row in plan.rows)
        blocks = 2 * plan.palindromes * len(plan.rows)
        self.now_s += BLOCK_S * blocks
        return GenerationResult(
            number=plan.number,
            group=plan.group,
            palindromes=plan.palindromes,
            side_by_side=plan.side_by_side,
            processes=processes,
            cost_s=self.now_s - began,
            palindrome_s=BLOCK_S * 2 * len(plan.rows),
        )

    def _process(self, row: RowPlan, plan: GenerationPlan) -> ProcessResult:
        status = self.fails.get((row.key, plan.number), "ok")
        if status == "oom" and not plan.side_by_side:
            status = self.fails.get((row.key, -plan.number), "ok")
        if status != "ok":
            return ProcessResult(key=row.key, status=status, message=f"planted {status}")
        step_s = self.step_s[row.key]
        blocks = tuple(
            block(number, number // 2, step_s * self.noise(row.key, plan.number, number))
            for number in range(2 * plan.palindromes)
        )
        edges = {
            "epoch_start": 4 * step_s + self.epoch_start_s,
            "pass_steps": 4,
            "evaluation": self.evaluation_s,
            "periodic": {},
        }
        examined = {}
        if plan.examine_seeds is not None:
            losses = {str(seed): [1.0 + 0.1 * seed] for seed in plan.examine_seeds.get(row.key, ())}
            examined = {"losses": losses, "flops_per_sample": 10, "gemm_flops_per_sec": 1e6}
        return ProcessResult(
            key=row.key,
            status="ok",
            blocks=blocks,
            edges=edges,
            memory={"peak_rss_bytes": 1000},
            startup_s={"worker_start": 0.1, "first_batch": 0.2, "first_step": 0.3},
            examined=examined,
        )


def block(number: int, palindrome: int, step_s: float, steps: int = 10) -> BlockResult:
    """A block of equal steps, 16 samples each."""
    start_ns = number * 10**12
    return BlockResult(
        number=number,
        arm="real",
        palindrome=palindrome,
        steps=steps,
        samples=16 * steps,
        start_ns=start_ns,
        end_ns=start_ns + round(steps * step_s * 1e9),
        deferred_s=0.0,
        step_times_s=(step_s,) * steps,
        phases_s={"data_wait": 0.1 * step_s, "forward": 0.9 * step_s},
        exposed_wait_s=0.1 * step_s,
        queue_start=2,
        queue_end=2,
        steady=True,
        unsteady_because=None,
        disturbed=False,
        foreign_cpu_s=0.0,
        own_s=steps * 1e-6,
    )


def row(key: str, config: RunConfig | None = None) -> RowPlan:
    """A planned row of that key."""
    arch, _, variant = key.partition("/")
    from perfkit import variants

    pairs = variants.parse(variant)
    config = config or RunConfig(arch=arch, variants=pairs, num_samples=160)
    return RowPlan(key=key, arch=arch, variant=variant, config=config)
