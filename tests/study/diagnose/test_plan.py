"""Which generations a diagnosis runs after which, from results alone, before and after it was stored."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import Plant
from fake_engine import FakeEngine

from perfkit.codec import from_json, to_json
from perfkit.config import RunConfig
from perfkit.engine.results import GenerationResult
from perfkit.study.diagnose.plan import START_S, DiagnosePlan
from perfkit.study.diagnose.stages import Stages
from perfkit.study.matrix import row_of

BASE = RunConfig(
    arch="convnext",
    num_samples=1600,
    num_workers=1,
    num_threads=1,
    malloc="keep",
    persistent_workers=False,
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
        "num_workers", "persistent_workers", "metrics_every", "combination",
    }  # fmt: skip
    assert set(verification.together) == set(verification.rows) - {"combination"}
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
