"""What `compare` says of two runs: invented rows, and simulated machines that drift and stray."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from compared import held
from report_documents import failed
from simulated_runs import simulated

from perfkit.codec import from_json, to_json
from perfkit.comparison import Comparison
from perfkit.document import Document, Note
from perfkit.errors import UsageError
from perfkit.study.peaks import memory_outcome

MIB = 2**20


def of(found: Comparison, key: str) -> Any:
    """The compared row of a key."""
    return next(one for one in found.compared if one.key == key)


def test_a_run_against_itself_is_the_same() -> None:
    """Nothing is compared: every row is `same`, no gate trips, whatever the generations were."""
    for generations in (1, 6):
        one = simulated(random.Random(1), generations=generations)
        found = held(one, one, "slower:0%,memory:0%,inconclusive")
        assert found.same_study
        assert [r.judged.outcome for r in found.compared if r.judged] == ["same", "same"]
        assert found.tripped == () and found.warnings == ()


def test_one_study_at_two_moments_is_the_same_study() -> None:
    """A copy taken while it was measured holds a part of its generations: they are not independent."""
    whole = simulated(random.Random(2))
    part = replace(
        whole,
        complete=False,
        rows=tuple(
            replace(
                r,
                generation_epoch_time_s=r.generation_epoch_time_s[:3],
                generation_speedup=r.generation_speedup[:3],
            )
            for r in whole.rows
        ),
    )
    assert held(part, whole).same_study
    assert not held(simulated(random.Random(3)), whole).same_study


def test_a_shared_reference_cancels_what_befell_the_machine() -> None:
    """A machine half as fast: the row's speed-up is as it was, and the reference tells the machine's part."""
    old = simulated(random.Random(4))
    new = simulated(random.Random(5), everything=2.0)
    found = held(old, new)
    assert found.reference == "convnext/fp32"
    amp = of(found, "convnext/amp")
    assert amp.speedup.outcome == "slower" and amp.speedup.value == pytest.approx(0.5, rel=0.1)
    assert amp.judged == amp.against_reference
    assert amp.against_reference.low < 1 < amp.against_reference.high
    fp32 = of(found, "convnext/fp32")
    assert fp32.against_reference is None and fp32.judged.outcome == "slower"
    assert fp32.unavailable["against_reference"] == "reference"


def test_direction_above_one_is_faster() -> None:
    """NEW takes half the time: 2×, both directly and against the reference."""
    old, new = simulated(random.Random(6), slower=2.0), simulated(random.Random(7))
    amp = of(held(old, new), "convnext/amp")
    for judged in (amp.speedup, amp.against_reference):
        assert judged.outcome == "faster"
        assert judged.value == pytest.approx(2.0, rel=0.1)
    assert of(held(new, old), "convnext/amp").judged.value == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rows": 1}, "one_row"),
        ({"base": {"batch_size": 32}}, "other_settings"),
        ({"first": "convnext/bf16"}, "other_reference"),
        ({"failed": True}, "reference_failed"),
    ],
)
def test_without_a_shared_reference_it_says_why(change: dict[str, Any], reason: str) -> None:
    """Rows are compared directly, and the reason is stored."""
    old, new = simulated(random.Random(8)), simulated(random.Random(9))
    if "rows" in change:
        old = replace(old, rows=old.rows[:1])
    elif "base" in change:
        new = replace(new, base=change["base"])
    elif "first" in change:
        new = replace(new, rows=(replace(new.rows[0], key=change["first"]), new.rows[1]))
    else:
        new = replace(new, rows=(failed("convnext/fp32", "oom", "no memory"), new.rows[1]))
    found = held(old, new)
    assert found.reference is None
    assert found.unavailable == {"against_reference": reason}
    assert all(one.against_reference is None for one in found.compared)
    assert any(one.speedup is not None for one in found.compared)


def test_fewer_than_four_generations_settle_nothing() -> None:
    """Even a doubled epoch is inconclusive, and the gate for it trips while `slower` does not."""
    old, new = simulated(random.Random(10)), simulated(random.Random(11), slower=2.0, generations=3)
    found = held(old, new, "slower:5%,inconclusive")
    assert of(found, "convnext/amp").judged.outcome == "inconclusive"
    assert {note.code for note in found.tripped} == {"inconclusive"}


def test_rows_of_one_side_and_rows_that_fail_now() -> None:
    """They are there with what is known of them, and a failure is told from what is not supported."""
    old = simulated(random.Random(12), keys=("convnext/fp32", "convnext/amp", "baseline/fp32"))
    new = simulated(random.Random(13), keys=("convnext/fp32", "convnext/bf16", "convnext/amp"))
    new = replace(new, rows=(*new.rows[:2], failed("convnext/amp", "oom", "no memory")))
    found = held(old, new, "inconclusive")
    keys = ["convnext/fp32", "convnext/bf16", "convnext/amp", "baseline/fp32"]
    assert [one.key for one in found.compared] == keys
    amp, bf16 = of(found, "convnext/amp"), of(found, "convnext/bf16")
    assert amp.fails_now and amp.judged is None and amp.memory_ratio is None
    assert bf16.old is None and bf16.unavailable["speedup"] == "only_in_new"
    assert of(found, "baseline/fp32").unavailable["speedup"] == "only_in_old"
    assert "baseline/fp32: it is not in NEW" in [note.text for note in found.tripped]
    lacking = replace(new, rows=(*new.rows[:2], failed("convnext/amp", "unsupported", "no bf16")))
    assert not of(held(old, lacking), "convnext/amp").fails_now


def test_no_row_in_common_is_refused() -> None:
    """There is nothing to compare, and the message names what each has."""
    old = simulated(random.Random(14), keys=("convnext/fp32",))
    new = simulated(random.Random(15), keys=("baseline/fp32",))
    with pytest.raises(UsageError, match="convnext/fp32 against baseline/fp32"):
        held(old, new)


def test_memory_is_the_devices_where_both_have_it() -> None:
    """Host peaks stand in only when neither run has the device's."""
    old, new = simulated(random.Random(16)), simulated(random.Random(17))
    amp = of(held(old, new), "convnext/amp")
    assert (amp.memory_on, amp.memory_ratio, amp.memory_outcome) == ("host", 1.0, "same")

    def with_device(one: Document, peak: int) -> Document:
        return replace(one, rows=tuple(replace(r, peak_allocated_bytes=peak) for r in one.rows))

    amp = of(held(with_device(old, 100 * MIB), with_device(new, 150 * MIB)), "convnext/amp")
    assert (amp.memory_on, amp.memory_ratio, amp.memory_outcome) == ("device", 1.5, "more")
    amp = of(held(old, with_device(new, 100 * MIB)), "convnext/amp")
    assert amp.memory_on is None and amp.unavailable["memory_ratio"] == "no_data"


@pytest.mark.parametrize(
    ("ratio", "outcome"),
    [(1.0, "same"), (1.019, "same"), (1.021, "more"), (0.985, "same"), (0.97, "less")],
)
def test_memory_has_a_tolerance(ratio: float, outcome: str) -> None:
    """Peaks have no interval: 2 % are the same."""
    assert memory_outcome(ratio) == outcome


def test_every_difference_is_a_warning() -> None:
    """Environment, variables and settings; memory that only a boot changed is none."""
    old, new = simulated(random.Random(18)), simulated(random.Random(19))
    old = replace(
        old,
        environment={
            **old.environment,
            "memory_bytes": 1000,
            "variables": {"OMP_NUM_THREADS": "2"},
        },
        base={"batch_size": 16},
    )
    new = replace(
        new,
        environment={**new.environment, "memory_bytes": 1005, "torch": "2.14.0", "variables": {}},
        base={"batch_size": 32},
        complete=False,
        warnings=(
            Note(code="disturbed", text="another program used the CPU"),
            Note(code="scaled", text="smaller images"),
        ),
    )
    found = held(old, new)
    said = [note.text for note in found.warnings]
    assert said == [
        f"another environment: torch was {old.environment['torch']}, is 2.14.0",
        "another environment: OMP_NUM_THREADS was 2, is not there",
        "other settings: batch_size was 16, is 32",
        "NEW was interrupted",
        "NEW: another program used the CPU",
    ]
    assert [(d.of, d.name) for d in found.differences] == [
        ("environment", "torch"),
        ("environment", "OMP_NUM_THREADS"),
        ("settings", "batch_size"),
    ]


def test_what_torch_read_back_differently_is_noted() -> None:
    """A row whose settings came out differently is not the same row any more."""
    old, new = simulated(random.Random(20)), simulated(random.Random(21))

    def reads(one: Document, value: str) -> Document:
        return replace(one, rows=tuple(replace(r, effective={"tf32": value}) for r in one.rows))

    found = held(reads(old, "off"), reads(new, "on"))
    assert [n.text for n in of(found, "convnext/amp").notes] == [
        "read back from torch: tf32 was off, is on"
    ]


def test_it_comes_back_from_json() -> None:
    """A comparison is a Document: it can be stored and read."""
    found = held(simulated(random.Random(22)), simulated(random.Random(23), slower=2), "slower:5%")
    assert from_json(Comparison, to_json(found)) == found
    assert from_json(Document, to_json(found)).rows == ()


def test_a_gate_never_trips_on_two_runs_of_one_commit_and_finds_a_fifth() -> None:
    """Simulated: 200 pairs of runs on a machine that drifts by 2 % between runs and in them."""
    rng = random.Random(24)
    alike = [held(simulated(rng), simulated(rng), "slower:5%") for _ in range(200)]
    assert sum(bool(one.tripped) for one in alike) == 0
    row_slower = [held(simulated(rng), simulated(rng, slower=1.2), "slower:5%") for _ in range(200)]
    assert sum(bool(one.tripped) for one in row_slower) >= 190
    all_slower = [
        held(simulated(rng), simulated(rng, everything=1.2), "slower:5%") for _ in range(200)
    ]
    assert sum(bool(one.tripped) for one in all_slower) >= 180


def test_intervals_cover_the_truth() -> None:
    """Simulated: 95 % intervals of rows against the reference hold what was planted, nearly that often."""
    rng = random.Random(25)
    held_truth = 0
    for _ in range(400):
        judged = of(
            held(simulated(rng, slower=1.1), simulated(rng)), "convnext/amp"
        ).against_reference
        held_truth += judged.low <= 1.1 <= judged.high
    assert 0.91 <= held_truth / 400 <= 0.985
