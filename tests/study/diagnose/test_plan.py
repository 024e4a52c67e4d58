"""Which generations a diagnosis runs after which, from results alone, before and after it was stored."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import Plant
from fake_arms import FakeArms
from fake_engine import FakeEngine
from own_settings import BUILT_IN

from perfkit.codec import from_json, to_json
from perfkit.config import RunConfig
from perfkit.engine.results import GenerationResult
from perfkit.engine.turns import palindrome_s
from perfkit.study.diagnose.plan import LOAD_S, REPEAT_S, START_S, DiagnosePlan
from perfkit.study.diagnose.stages import DIAGNOSIS, TRIALS, Stages
from perfkit.study.matrix import row_of

BASE = RunConfig(
    arch="convnext",
    num_samples=1600,
    num_workers=1,
    num_threads=1,
    malloc="keep",
    persistent_workers=False,
    workload=BUILT_IN,
)
PLANT = Plant(
    storage_s=0.1,
    parts_s={"epoch_start": 3.0, "metrics": 1.0},
    startup_s={"worker_start": 2.0, "first_batch": 0.1, "first_step": 0.1},
)
PLAN = DiagnosePlan(
    rows=(row_of(BASE, "fp32"),),
    base=BASE,
    environment={"cores_usable": 2},
    verify=4,
    verify_s=360.0,
    seed=5,
)


def run(plan: DiagnosePlan, engine: FakeEngine, budget_s: float) -> list[GenerationResult]:
    """All of a study, its plan stored and read back before each decision."""
    results: list[GenerationResult] = []
    while True:
        stored = from_json(DiagnosePlan, to_json(plan))
        assert stored == plan
        following = stored.next(results, budget_s - engine.now_s)
        assert following == plan.next(results, budget_s - engine.now_s)
        if following is None:
            return results
        results.append(engine.run(following))


def test_where_memory_is_filled_rows_are_verified_one_after_another() -> None:
    """And nothing is tried, which takes a process beside the row's own."""
    engine = FakeEngine(plants={"convnext/fp32": PLANT})
    run(replace(PLAN, side_by_side=False), engine, 420.0)
    first, *verified = engine.plans
    assert first.group == DIAGNOSIS and verified
    assert all(plan.group != TRIALS and not plan.side_by_side for plan in verified)


def test_the_stages_follow_each_other() -> None:
    """One diagnosis, then the bench's groups; numbers go on, and the reference is in each."""
    engine = FakeEngine(plants={"convnext/fp32": PLANT})
    results = run(PLAN, engine, 420.0)
    assert [r.number for r in results] == list(range(1, len(results) + 1))
    assert [r.group for r in results].count(0) == 1 and results[0].group == 0
    assert all(plan.rows[0].key == "convnext/fp32" for plan in engine.plans)
    verification = PLAN.verification(Stages.of(results))
    assert verification is not None
    assert set(verification.rows) == {
        "num_workers", "persistent_workers", "metrics_every", "cache_decoded", "combination",
    }  # fmt: skip
    # of a bound nothing is sure, so that it is run by itself only
    apart = {"cache_decoded", "combination"}
    assert set(verification.together) == set(verification.rows) - apart
    assert verification.rows["combination"].variant == (
        "fp32+metrics_every=20+num_workers=4+persistent_workers=1"
    )
    groups = {plan.group for plan in engine.plans if plan.group >= 2}
    assert groups == {2, 3}
    stages = Stages.of(results)
    assert {r.group for r in stages.verified} == {0, 1} and stages.trialled is None
    ran = {p.key for r in stages.verified for p in r.processes}
    assert ran == {"convnext/fp32", *(row.key for row in verification.rows.values())}


def test_nothing_is_verified_where_nothing_was_asked() -> None:
    """Whatever time is left."""
    engine = FakeEngine(plants={"convnext/fp32": PLANT})
    assert len(run(replace(PLAN, verify=0, verify_s=0.0), engine, 900.0)) == 1


def test_a_diagnosis_that_failed_is_not_gone_on_with() -> None:
    """There is nothing to try."""
    engine = FakeEngine(plants={"convnext/fp32": PLANT}, fails={("convnext/fp32", 1): "killed"})
    assert len(run(PLAN, engine, 420.0)) == 1


@pytest.mark.parametrize("left_s", [430.0, 60.0])
def test_time_to_verify_is_not_spent_on_diagnosing(left_s: float) -> None:
    """The blocks have what is left of the rest; at least one block is run."""
    plan = PLAN.next([], left_s)
    assert plan is not None and plan.most_s is not None
    assert plan.most_s == max(0.45, left_s - 360.0 - START_S)


def test_fewer_rows_have_less_time() -> None:
    """One row and the reference have two minutes of the six that five rows and it would have had."""
    plan = replace(PLAN, rows=(row_of(replace(BASE, num_workers=0), "fp32"),))
    heavy = Plant(compute_s=0.06, parts_s={"metrics": 1.0})
    noisy = FakeEngine(
        plants={"convnext/fp32": heavy},
        noise=lambda key, generation, block: 1 + 0.3 * ((generation * 7 + len(key)) % 3),
    )
    results = run(replace(plan, verify=4), noisy, 600.0)
    stages = Stages.of(results)
    verification = plan.verification(stages)
    assert verification is not None
    allowed_s = 360.0 * (1 + len(verification.rows)) / 6
    assert sum(r.cost_s for r in stages.verified) <= max(120.0, allowed_s) + 1e-6


def test_its_own_variant_stays() -> None:
    """Remedies are added to how the training runs, settings and all; a precision takes the other's place."""
    own = row_of(BASE, "bf16+num_workers=2")
    plan = replace(PLAN, rows=(own,))
    assert plan.row_with("persistent_workers=1").variant == (
        "bf16+num_workers=2+persistent_workers=1"
    )
    assert plan.row_with("tf32", "num_workers=4").variant == "tf32+num_workers=4"


QUIET = Plant(storage_s=0.02, decode_s=0.0001, collate_s=0.0, parts_s={"evaluation": 2.0})
"""Nobody waits for a core, and the worker uses hardly any."""
BUSY = Plant(spinning_s=0.01, parts_s={"evaluation": 2.0})
SPARED = ("replay_running", "load", "evaluation_repeat")


@pytest.mark.parametrize(
    ("plant", "arms", "kept_s", "dropped"),
    [
        (QUIET, 3, LOAD_S + REPEAT_S, ()),
        (QUIET, 3, REPEAT_S, SPARED[1:2]),
        (QUIET, 2, REPEAT_S, SPARED[:2]),
        (QUIET, 2, 0.0, SPARED),
        (BUSY, 3, REPEAT_S, SPARED[1:2]),
        (BUSY, 3, 0.0, SPARED[1:]),
    ],
)
def test_what_is_dropped_where_time_is_short(
    plant: Plant, arms: int, kept_s: float, dropped: tuple[str, ...]
) -> None:
    """Each with just enough time, and with a hundredth of a second less the next goes; never a palindrome."""
    plan = replace(PLAN, verify=0, verify_s=0.0)
    config, engine = plan.rows[0].config, FakeEngine(plants={"convnext/fp32": plant})
    step_s = FakeArms(plant, config, cores=2).warm_up()["step_s"]
    asked = plan.next([], 60.0)
    assert asked is not None
    blocks_s = 6 * palindrome_s(asked, asked.arms[:arms], step_s, config)
    fewer = []
    for more_s in (0.005, -0.005):
        left_s = START_S + blocks_s + kept_s + more_s
        (ran,) = run(plan, engine, engine.now_s + left_s)
        fewer.append((ran.palindromes, ran.dropped))
    assert fewer[0] == (6, dropped)
    assert fewer[1][0] == 6 and set(fewer[1][1]) > set(dropped)


@pytest.mark.parametrize(("evaluation_s", "repeated"), [(3.5, True), (4.5, False)])
def test_an_evaluation_is_repeated_in_the_time_that_is_left(
    evaluation_s: float, repeated: bool
) -> None:
    """3 s are kept and 1 s is left besides: one of 4.5 s is run once, and that is said."""
    plan = replace(PLAN, verify=0, verify_s=0.0)
    plant = replace(QUIET, parts_s={"evaluation": evaluation_s})
    config = plan.rows[0].config
    step_s = FakeArms(plant, config, cores=2).warm_up()["step_s"]
    asked = plan.next([], 60.0)
    assert asked is not None
    blocks_s = 6 * palindrome_s(asked, asked.arms, step_s, config)
    left_s = START_S + blocks_s + LOAD_S + REPEAT_S + 1.0
    (ran,) = run(plan, FakeEngine(plants={"convnext/fp32": plant}), left_s)
    assert ran.dropped == ()
    told = {} if repeated else {"evaluation_repeat": "no_time"}
    assert ran.processes[0].unavailable == told
