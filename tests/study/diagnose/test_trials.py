"""Which remedies are tried briefly, whether there is time for it, and what their steps tell."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from cases import COMPUTE
from fake_engine import block, row
from pipelines import attributed

from perfkit.diagnosis.remedies import remedies
from perfkit.document import Status
from perfkit.engine.plan import RowPlan
from perfkit.engine.results import GenerationResult, ProcessResult
from perfkit.study.diagnose import trials

FP32, BF16, LAST = (row(f"convnext/{text}") for text in ("fp32", "bf16", "fp32+channels_last"))
COMPILED = row("convnext/fp32+compile")
FIRST = GenerationResult(
    number=1,
    group=0,
    palindromes=6,
    side_by_side=True,
    processes=(
        ProcessResult(
            key=FP32.key,
            status="ok",
            blocks=tuple(
                replace(block(n, n // 4, 0.1), arm=arm)
                for n, arm in enumerate(("real", "replay", "replay", "real"))
            ),
        ),
    ),
    cost_s=6 * 4.0 + 10.0,
    palindrome_s=4.0,
)
"""Two arms; 2 s of a palindrome are each arm's, and 10 s are spent on the rest."""


def process(key: str, steps_s: list[float], status: Status = "ok") -> ProcessResult:
    """Two replayed blocks of each of these steps, one palindrome each."""
    blocks = [
        replace(block(n, n // 2, steps_s[n // 2]), arm="replay") for n in range(2 * len(steps_s))
    ]
    return ProcessResult(key=key, status=status, blocks=tuple(blocks))


def tried(*processes: ProcessResult) -> GenerationResult:
    return replace(FIRST, number=2, group=1, processes=processes)


def test_one_of_each_stage_first() -> None:
    """Of precisions, layouts and compiling the best each; nothing that is no such change."""
    made = attributed(compute=9.0, eval=1.0, cores=None, environment={"bf16_native": True})
    found = trials.candidates(remedies(made, COMPUTE))
    assert set(found) == {"bf16", "channels_last", "compile"} and found[0] == "bf16"
    assert trials.candidates(()) == ()


def test_what_was_tried_is_not_tried_again() -> None:
    """Only a bound calls for a trial."""
    made = attributed(compute=9.0, eval=1.0, cores=None, environment={"bf16_native": True})
    ranked = [replace(one, basis="arithmetic") for one in remedies(made, COMPUTE)]
    assert trials.candidates(ranked) == ()


@pytest.mark.parametrize(
    ("rows", "cores", "needed_s"),
    [
        ((FP32, BF16), 2, 10.0 + 2 * 12.0),
        ((FP32, BF16), 1, 20.0 + 2 * 12.0),
        ((FP32, BF16, LAST), 2, 20.0 + 3 * 12.0),
        ((FP32, COMPILED), 2, 50.0 + 2 * 12.0),
    ],
)
def test_what_trials_need(rows: tuple[RowPlan, ...], cores: int, needed_s: float) -> None:
    """A start for each core full of processes, six palindromes a row, and compiling."""
    assert trials.needed_s(rows, FIRST, cores) == pytest.approx(1.08 * needed_s)


@pytest.mark.parametrize(
    ("left_s", "keys"),
    [
        (36.0, None),
        (37.0, [FP32.key, BF16.key]),
        (60.0, [FP32.key, BF16.key]),
        (61.0, [FP32.key, BF16.key, LAST.key]),
        (117.0, [FP32.key, BF16.key, LAST.key, COMPILED.key]),
    ],
)
def test_as_many_as_there_is_time_for(left_s: float, keys: list[str] | None) -> None:
    """The best first; none where there is not time for one. Compiling only with a lot of it."""
    plan = trials.trial_plan((FP32, BF16, LAST, COMPILED), FIRST, number=2, cores=2, left_s=left_s)
    assert (None if plan is None else [one.key for one in plan.rows]) == keys
    if plan is not None:
        assert (plan.number, plan.group, plan.arms, plan.palindromes) == (2, 1, ("replay",), 6)
        assert not plan.edges and not plan.load_s and plan.examine is None


def test_one_that_compiles_is_passed_over() -> None:
    """A later one that there is time for is tried in its place."""
    plan = trials.trial_plan((FP32, COMPILED, LAST), FIRST, number=2, cores=2, left_s=60.0)
    assert plan is not None and [one.key for one in plan.rows] == [FP32.key, LAST.key]


def test_no_trials_of_a_training_that_was_not_replayed() -> None:
    """Its batches cannot be, or there was no time."""
    (one,) = FIRST.processes
    real = replace(one, blocks=tuple(b for b in one.blocks if b.arm == "real"))
    first = replace(FIRST, processes=(real,))
    assert trials.trial_plan((FP32, BF16), first, number=2, cores=2, left_s=999.0) is None


def test_what_trials_tell() -> None:
    """The geometric mean over palindromes of reference ÷ variant, with its t interval."""
    factors = [1.2, 1.25, 1.3, 1.2, 1.25, 1.3]
    result = tried(
        process(FP32.key, [0.1 * f for f in factors]),
        process(BF16.key, [0.1] * 6),
        process(LAST.key, [0.1 * f for f in factors]),
    )
    found = trials.outcomes(FP32, {"bf16": BF16, "channels_last": LAST}, result)
    mean = math.exp(sum(map(math.log, factors)) / 6)
    assert found["bf16"].value == pytest.approx(mean)
    assert found["bf16"].low is not None and 1.15 < found["bf16"].low < mean
    same = found["channels_last"]
    assert [same.low, same.value, same.high] == [pytest.approx(1.0)] * 3


def test_a_trial_that_fails_costs_itself_only() -> None:
    """The others have theirs; without the reference nobody has; too few palindromes are none."""
    rows = {"bf16": BF16, "channels_last": LAST, "compile": COMPILED}
    whole, failed = process(FP32.key, [0.1] * 6), process(BF16.key, [], "oom")
    short = process(COMPILED.key, [0.1] * 5)
    result = tried(whole, failed, process(LAST.key, [0.1] * 6), short)
    assert set(trials.outcomes(FP32, rows, result)) == {"channels_last"}
    gone = tried(process(FP32.key, [], "killed"), process(LAST.key, [0.1] * 6))
    assert trials.outcomes(FP32, rows, gone) == {}
    assert trials.outcomes(FP32, rows, None) == {}
