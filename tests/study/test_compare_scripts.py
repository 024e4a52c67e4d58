"""What `compare` says of scripts that were watched: windows of one process, which are alike."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from compared import held
from simulated_scripts import EPOCH, STEP_S, watched

from perfkit.comparison import Comparison
from perfkit.document import Document
from perfkit.report import console
from perfkit.report.comparison import meaning, remarks

PAIRS = 100


@pytest.fixture
def rng() -> random.Random:
    """Of each test its own."""
    return random.Random(4)


def test_a_run_against_itself_is_the_same() -> None:
    """At another moment too, when its windows are others."""
    whole = watched(random.Random(1))
    earlier = replace(watched(random.Random(2)), created=whole.created, complete=False)
    for one in (whole, earlier):
        found = held(one, whole, "slower:0%,memory:0%,inconclusive")
        assert found.same_study and found.tripped == ()
        assert [row.judged.outcome for row in found.compared if row.judged] == ["same"]


def test_ranks_are_matched_by_their_key_and_none_is_a_reference() -> None:
    """The first row is the rank that is slowest, not one that the others are held against."""
    rng = random.Random(3)
    old, new = watched(rng, ranks=2, drift=0.0), watched(rng, ranks=2, slower=2.0, drift=0.0)
    new = replace(new, rows=new.rows[::-1])
    found = held(old, new)
    assert [row.key for row in found.compared] == ["run/rank1", "run/rank0"]
    for row in found.compared:
        assert row.speedup is not None and row.speedup.outcome == "slower"
        assert row.speedup.value == pytest.approx(0.5, rel=0.05)
    assert found.reference is None
    assert found.unavailable == {"against_reference": "attached"}
    assert any("a script that was watched has none" in text for _, text in remarks(found))
    assert "windows of steps" in found.method["interval"]


def told(found: Comparison) -> tuple[str, str | None, str]:
    """By whose time was compared, why not by epoch, and the outcome."""
    (row,) = found.compared
    assert row.speedup is not None
    return found.by, found.unavailable.get("epoch_time_s"), row.speedup.outcome


def test_whole_epochs_are_compared_as_such(rng: random.Random) -> None:
    """With all that is in them: an evaluation as long as the steps halves what the steps gain."""
    old, new = watched(rng, slower=2.0, drift=0.0), watched(rng, drift=0.0)

    def evaluates(document: Document) -> Document:
        parts = {"steps": 1.0, "evaluation": 1.0}
        if document is old:
            parts = {"steps": 2.0, "evaluation": 1.0}
        return replace(document, rows=(replace(document.rows[0], epoch_parts_s=parts),))

    found = held(evaluates(old), evaluates(new))
    assert told(found) == ("epoch", None, "faster")
    assert found.compared[0].speedup is not None
    assert found.compared[0].speedup.value == pytest.approx(1.5, rel=0.02)
    assert found.compared[0].old is not None and found.compared[0].old.steps == 480


@pytest.mark.parametrize(
    ("old_steps", "new_steps", "reason"),
    [(0, 480, "first_epoch_old"), (480, 0, "first_epoch_new"), (0, 0, "first_epoch_both")],
)
def test_a_first_epoch_is_compared_by_step_with_the_others_first(
    rng: random.Random, old_steps: int, new_steps: int, reason: str
) -> None:
    """A first epoch, which is slower than later ones, is held against a first epoch."""
    old = watched(rng, steps=old_steps, slower=1.5, drift=0.0)
    new = watched(rng, steps=new_steps, drift=0.0)
    found = held(old, new)
    assert told(found) == ("step", reason, "faster")
    (row,) = found.compared
    assert row.speedup is not None and row.speedup.value == pytest.approx(1.5, rel=0.04)
    assert (
        row.old is not None and row.new is not None and (row.old.steps, row.new.steps) == (80, 80)
    )
    assert row.new.step_time_s is not None and row.new.epoch_time_s == new.rows[0].epoch_time_s
    assert row.new.step_time_s.value == pytest.approx(1.1 * STEP_S, rel=0.03)
    # an epoch whose end was not seen has no length that could differ
    assert found.differences == ()
    said = " ".join(meaning(found).split())
    assert "Compared by step: " in said and "of a second epoch." in said
    assert "first epoch after its warm-up" in dict(remarks(found))["Compared"]


def test_epochs_of_another_length_are_named_and_compared_by_step(rng: random.Random) -> None:
    """Twice the steps in an epoch make no script slower."""
    found = held(watched(rng, drift=0.0), watched(rng, epoch=2 * EPOCH, drift=0.0))
    assert told(found) == ("step", "other_length", "same")
    assert [(d.of, d.name, d.old, d.new) for d in found.differences] == [
        ("settings", "steps_per_epoch", EPOCH, 2 * EPOCH)
    ]
    assert "steps_per_epoch was 100, is 200" in found.warnings[0].text
    assert "their epochs are of different length" in meaning(found)
    assert "ms a step" in console.render(found, width=120, color=False)


def test_batches_of_another_size_are_compared_by_sample(rng: random.Random) -> None:
    """A step that takes 1.6 times as long for twice the samples is faster."""
    old = watched(rng, steps=0, drift=0.0)
    new = watched(rng, steps=0, batch_size=32, slower=1.6, drift=0.0)
    found = held(old, new)
    assert told(found) == ("sample", "first_epoch_both", "faster")
    (row,) = found.compared
    assert row.speedup is not None and row.speedup.value == pytest.approx(1.25, rel=0.04)
    assert row.new is not None and row.new.sample_time_s is not None
    assert row.new.sample_time_s.value == pytest.approx(1.1 * 1.6 * STEP_S / 32, rel=0.03)


def test_samples_that_were_not_counted_are_not_compared(rng: random.Random) -> None:
    """Batches of another size, and nobody knows how many samples were in them."""
    old, new = watched(rng, steps=0), watched(rng, steps=0, batch_size=32)
    new = replace(new, rows=(replace(new.rows[0], samples_per_sec=None),))
    found = held(old, new)
    assert found.by == "sample" and found.compared[0].speedup is None
    assert "No time of a sample is known in NEW: run." in meaning(found)


@pytest.mark.parametrize(
    ("before", "now", "by"), [(100, 50, "epoch"), (101, 51, "epoch"), (100, 51, "sample")]
)
def test_an_epoch_of_as_many_samples_is_the_same_epoch(
    rng: random.Random, before: int, now: int, by: str
) -> None:
    """100 batches of 16 are 50 of 32, and 101 are 51, of which one is partial."""
    found = held(watched(rng, epoch=before), watched(rng, batch_size=32, epoch=now))
    assert found.by == by


def test_a_run_that_ended_in_its_warm_up_has_nothing_to_compare(rng: random.Random) -> None:
    """Nor does it trip a gate but that for what is open."""
    found = held(watched(rng), watched(rng, steps=0, first=5), "slower:5%,inconclusive")
    assert [note.code for note in found.tripped] == ["inconclusive"]
    assert found.compared[0].more_steps == 15
    nothing = watched(rng, steps=0, first=5)
    nothing = replace(nothing, rows=(replace(nothing.rows[0], windows={}),))
    found = held(watched(rng), nothing)
    assert found.compared[0].speedup is None
    assert found.compared[0].unavailable["speedup"] == "first_epoch"
    assert "Too few steps to compare in NEW: run." in meaning(found)


def test_what_is_open_says_how_many_steps_would_tell() -> None:
    """Runs that are so much longer do settle it, mostly; a settled one says nothing."""
    rng = random.Random(8)
    settled = []

    def pair(steps: int) -> tuple[Document, Document]:
        runs = (watched(rng, memory=0.9, drift=0.0, steps=steps, slower=s) for s in (1.0, 1.05))
        old, new = runs
        return old, new

    for _ in range(30):
        old, new = pair(240)
        (row,) = held(old, new).compared
        assert row.speedup is not None
        if row.speedup.outcome != "inconclusive":
            assert row.more_steps is None
            continue
        assert row.more_steps is not None and row.more_steps % 10 == 0
        assert f"some {row.more_steps}" in meaning(held(old, new)).replace("\u202f", "")
        (again,) = held(*pair(240 + row.more_steps)).compared
        assert again.speedup is not None
        settled.append(again.speedup.outcome != "inconclusive")
    print(len(settled), sum(settled))
    assert len(settled) > 10 and sum(settled) > len(settled) / 2


@pytest.mark.parametrize(("memory", "steps"), [(0.5, 120), (0.9, 480)])
def test_a_gate_never_trips_on_two_runs_of_one_script_and_finds_a_fifth(
    memory: float, steps: int
) -> None:
    """Simulated: steps that stray by 6 %, a machine that drifts by 2 %; in 1 %, and in 90 %, of pairs."""
    rng = random.Random(5)

    def trips(slower: float) -> int:
        def one(factor: float) -> Document:
            return watched(rng, memory=memory, steps=steps, first=0, slower=factor)

        found = (held(one(1.0), one(slower), "slower:5%") for _ in range(PAIRS))
        return sum(bool(one.tripped) for one in found)

    assert trips(1.0) <= 0.01 * PAIRS
    assert trips(1.2) >= 0.9 * PAIRS


@pytest.mark.parametrize("memory", [0.0, 0.97])
def test_intervals_hold_the_truth_though_neighbours_are_alike(memory: float) -> None:
    """Simulated: nearly as often as they say, however long the steps remember."""
    rng = random.Random(6)
    held_truth = 0
    for _ in range(PAIRS):
        judged = (
            held(watched(rng, memory=memory, drift=0.0), watched(rng, memory=memory, drift=0.0))
            .compared[0]
            .speedup
        )
        assert judged is not None and judged.low is not None and judged.high is not None
        held_truth += judged.low <= 1 <= judged.high
    assert held_truth >= 0.9 * PAIRS
