"""An executor that answers plans with exact numbers: no process, no clock but its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from evidences import Plant
from fake_arms import FakeArms
from own_settings import BUILT_IN

from perfkit.codec import from_json, to_json
from perfkit.config import RunConfig
from perfkit.document import Document, Status
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.results import BlockResult, GenerationResult, ProcessResult
from perfkit.engine.turns import Turns, fitting
from perfkit.runfolder import StudyFolder, read_json, write_json
from perfkit.study.bench.answer import BenchAnswer
from perfkit.study.bench.plan import BenchPlan
from perfkit.study.frame import Frame
from perfkit.study.session import Session
from perfkit.telemetry.windows import WindowMeans

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
        loses: by (row key, generation), the parts that process loses once its blocks are timed.
        loss_shift: by row key, what its losses are above FP32's.
        interrupt_in: the generation in which Ctrl-C is pressed.
        interrupt_after: palindromes of it that have been timed by then; 0: no block was.
        plants: by row key, what a training costs that is run by its arms (`fake_arms`), instead of its
            `step_s`; a row that has none is its architecture's FP32 one with its own settings.
        cores: of the machine that these run on.
    """

    step_s: Mapping[str, float] = field(default_factory=dict)
    noise: Noise = lambda key, generation, block: 1.0
    fails: Mapping[tuple[str, int], Status] = field(default_factory=dict)
    loses: Mapping[tuple[str, int], Sequence[str]] = field(default_factory=dict)
    loss_shift: Mapping[str, float] = field(default_factory=dict)
    interrupt_in: int | None = None
    interrupt_after: int = 0
    unfinished: GenerationResult | None = None
    epoch_start_s: float = 0.0
    evaluation_s: float = 0.0
    now_s: float = 0.0
    plants: Mapping[str, Plant] = field(default_factory=dict)
    cores: int = 2
    plans: list[GenerationPlan] = field(default_factory=list)

    def clock(self) -> float:
        return self.now_s

    def run(self, plan: GenerationPlan) -> GenerationResult:
        if plan.number == self.interrupt_in:
            if plan.partial and self.interrupt_after:
                self.unfinished = self._interrupted(plan)
            raise KeyboardInterrupt
        self.plans.append(plan)
        return self._result(plan, self._turns(plan))

    def _interrupted(self, plan: GenerationPlan) -> GenerationResult:
        """What is on disk by then: blocks, and nothing of what follows them."""
        turns = replace(self._turns(plan), palindromes=self.interrupt_after, load_s=0.0)
        found = self._result(plan, turns)
        lost = {part: "interrupted" for part in ("loader_samples_per_sec", "edges", "burst")}
        told = [replace(p, edges={}, lost=lost, unavailable=lost) for p in found.processes]
        return replace(found, processes=tuple(told))

    def _result(self, plan: GenerationPlan, turns: Turns) -> GenerationResult:
        palindrome_s = BLOCK_S * 2 * len(plan.rows) * len(turns.arms)
        cost_s = START_S + palindrome_s * turns.palindromes + turns.load_s
        self.now_s += cost_s
        return GenerationResult(
            number=plan.number,
            group=plan.group,
            palindromes=turns.palindromes,
            dropped=turns.dropped,
            side_by_side=plan.side_by_side,
            processes=tuple(self._process(row, plan, turns) for row in plan.rows),
            cost_s=cost_s,
            palindrome_s=palindrome_s,
        )

    def _arms(self, row: RowPlan) -> FakeArms | None:
        plant = self.plants.get(row.key, self.plants.get(f"{row.arch}/fp32"))
        return None if plant is None else FakeArms(plant, row.config, self.cores)

    def _turns(self, plan: GenerationPlan) -> Turns:
        """What there is time for, by the engine's own rule; all that is planned where no arms are planted."""
        arms = [one for row in plan.rows if (one := self._arms(row)) is not None]
        found = [fitting(plan, one.warm_up(), one.config, self.cores) for one in arms]
        planned = Turns(arms=plan.arms, palindromes=plan.palindromes, load_s=plan.load_s)
        return max(found, key=lambda turns: len(turns.dropped), default=planned)

    def _process(self, row: RowPlan, plan: GenerationPlan, turns: Turns) -> ProcessResult:
        status = self.fails.get((row.key, plan.number), "ok")
        if status == "oom" and not plan.side_by_side:
            status = self.fails.get((row.key, -plan.number), "ok")
        if status != "ok":
            return ProcessResult(key=row.key, status=status, message=f"planted {status}")
        lost = self.loses.get((row.key, plan.number), ())
        told = self._told(row, plan, turns)
        missing = {*lost, *(told["edges"] if "edges" in lost else ())}
        told["edges"] = {n: v for n, v in told["edges"].items() if n not in missing}
        tasks = told["edges"].get("periodic", {})
        told["edges"] |= {"periodic": {n: v for n, v in tasks.items() if n not in missing}}
        if "full_epoch" in lost:
            told["full_epoch_s"] = None
        unavailable = {name: "failed" for name in lost}
        evaluation_s = told["edges"].get("evaluation", 0.0)
        if turns.repeat_s is not None and evaluation_s > turns.repeat_s:
            unavailable["evaluation_repeat"] = "no_time"
        return ProcessResult(
            key=row.key,
            status="ok",
            memory={"peak_rss_bytes": 1000},
            examined={} if "examine" in lost else self._examined(row, plan),
            lost={name: f"RuntimeError: planted {name}" for name in lost},
            unavailable=unavailable,
            **told,
        )

    def _told(self, row: RowPlan, plan: GenerationPlan, turns: Turns) -> dict[str, Any]:
        """The fields of a ProcessResult that follow from what the training costs."""

        def noise(number: int) -> float:
            return self.noise(row.key, plan.number, number)

        arms = self._arms(row)
        if arms is not None:
            blocks = arms.blocks(turns.arms, turns.palindromes, noise)
            told = {"blocks": blocks, **arms.answers(turns.load_s)}
            if plan.full_epoch:
                real_s = fmean(b.step_s for b in blocks if b.arm == "real")
                told["full_epoch_s"] = real_s * row.config.steps_per_epoch
            return told
        step_s = self.step_s[row.key]
        return {
            "blocks": tuple(
                block(number, number // 2, step_s * noise(number))
                for number in range(2 * plan.palindromes)
            ),
            "edges": {
                "epoch_start": 4 * step_s + self.epoch_start_s,
                "pass_steps": 4,
                "evaluation": self.evaluation_s,
                "periodic": {},
            },
            "startup_s": {"worker_start": 0.1, "first_batch": 0.2, "first_step": 0.3},
            "full_epoch_s": 10 * step_s if plan.full_epoch else None,
        }

    def _examined(self, row: RowPlan, plan: GenerationPlan) -> dict[str, Any]:
        """A loss of 1 falls by a tenth; errors of a relative size move it by ten times that."""
        if plan.examine is None:
            return {}
        wanted = plan.examine[row.key]
        plain = [1.0, 0.9 + self.loss_shift.get(row.key, 0.0)]
        perturbed = {
            repr(size): [[1.0, plain[1] + 10 * size], [1.0, plain[1] - 5 * size]]
            for size in wanted.perturbations
        }
        return {
            "losses": {str(wanted.seed): plain},
            "perturbed": perturbed,
            "flops_per_sample": 10,
            "gemm_flops_per_sec": 1e6,
        }


class FakeExecutor:
    """A FakeEngine in the place of `perfkit.engine.executor.Executor`: it stores and reads generations."""

    def __init__(self, engine: FakeEngine, study: StudyFolder) -> None:
        self._engine = engine
        self._study = study

    def __enter__(self) -> FakeExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, plan: GenerationPlan) -> GenerationResult:
        result = self._engine.run(plan)
        write_json(self._study.generation(plan.number), to_json(result))
        return result

    @property
    def unfinished(self) -> GenerationResult | None:
        return self._engine.unfinished

    def finished(self) -> list[GenerationResult]:
        paths = (self._study.path / "generations").glob("*.json")
        found = [from_json(GenerationResult, read_json(path)) for path in paths]
        return sorted(found, key=lambda result: result.number)

    def averages(self, windows: Sequence[tuple[int, int]]) -> WindowMeans:
        return WindowMeans(values={"cpu_busy_share": 0.5}, unavailable={}, samples=len(windows))

    def drop_unfinished(self) -> None:
        assert not list((self._study.path / "processes").iterdir()), "a fake makes no processes"


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


def generation(*processes: ProcessResult, number: int = 1, **changes: Any) -> GenerationResult:
    """A generation of these processes side by side, with one palindrome."""
    values: dict[str, Any] = {"group": 0, "palindromes": 1, "side_by_side": True}
    values |= {"cost_s": 10.0, "palindrome_s": 2.0, **changes}
    return GenerationResult(number=number, processes=processes, **values)


def row(key: str, config: RunConfig | None = None) -> RowPlan:
    """A planned row of that key."""
    arch, _, variant = key.partition("/")
    from perfkit import variants

    pairs = variants.parse(variant)
    config = config or RunConfig(arch=arch, variants=pairs, num_samples=160)
    return RowPlan(key=key, arch=arch, variant=variant, config=config)


def bench_session(
    engine: FakeEngine, keys: Sequence[str], budget_s: float = 120.0, **plan: Any
) -> tuple[Session, list[Document]]:
    """A whole bench of these rows on exact numbers, and the Documents that it saves."""
    saved: list[Document] = []
    planned = BenchPlan(rows=tuple(map(row, keys)), **plan)
    frame = Frame(
        command="perfkit bench",
        environment={"cores_usable": 2},
        base=RunConfig(arch="convnext", workload=BUILT_IN),
        budget_s=budget_s,
    )
    session = Session(
        plan=planned,
        answer=BenchAnswer(plan=planned, frame=frame),
        engine=engine,
        budget_s=budget_s,
        clock=engine.clock,
        began_s=0.0,
        save=saved.append,
        averages=lambda results: {},
    )
    return session, saved
