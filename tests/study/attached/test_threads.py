"""What is said of a training whose batches another thread fetches, or that has no loader."""

from __future__ import annotations

from pathlib import Path

import pytest
from attached_folders import HEAD, Script

from perfkit.document import Document
from perfkit.records import NAN
from perfkit.study.attached.answer import document_of, runs_of
from perfkit.study.attached.passes import NO_LOADER


def prefetched(*, other_s: float, waited_s: float = 0.0) -> Script:
    """A thread iterates over a loader; the main thread trains from a queue: no forward is seen there."""
    script = Script()
    script.loader()
    script.begin()
    script.event("other_thread", loader=0, batches=2)
    for _ in range(200):
        script.step(NO_LOADER, wait_s=0.0, forward_s=NAN, other_s=other_s)
    if waited_s:
        script.event("stack", where="train.py:40", function="train", seconds=200 * waited_s)
    return script


def answer(study: Path, script: Script) -> Document:
    runs = runs_of([script.recorded(study)])
    return document_of(runs, HEAD, elapsed_s=3.0, complete=True)


@pytest.mark.parametrize("other_s", [0.0, 0.001, 0.1])
def test_what_is_waited_for_another_thread_is_not_known(tmp_path: Path, other_s: float) -> None:
    """Every update is a step; nothing is said of what binds it but why, and how to come to know it."""
    document = answer(tmp_path, prefetched(other_s=other_s))
    (row,), found = document.rows, document.diagnosis
    assert found is not None and document.method["steps"] == 200
    assert found.primary == "inconclusive"
    assert "compute_bound" not in [verdict.kind for verdict in found.verdicts]
    assert row.exposed_wait_s is None and "data_wait" not in row.phases_s
    assert row.phases_s["backward"] == pytest.approx(0.005)
    assert row.unavailable["exposed_wait_s"] == found.unavailable["waiting"] == "other_thread"
    (warning,) = document.warnings
    assert (warning.code, warning.text) == ("other_thread", found.inconclusive_because)
    assert "another thread, which iterates at train.py:31" in warning.text
    assert "perfkit.watch(iter(queue.get, None))" in warning.text


@pytest.mark.parametrize(("waited_s", "told"), [(0.0011, False), (0.0013, True)])
def test_where_it_was_seen_to_wait_is_named_from_a_tenth_on(
    tmp_path: Path, waited_s: float, told: bool
) -> None:
    """Of a step of 12 ms; the rest of what is in no phase is not taken for waiting."""
    document = answer(tmp_path, prefetched(other_s=0.006, waited_s=waited_s))
    (warning,) = document.warnings
    assert ("seen to wait in train (train.py:40)" in warning.text) is told
    assert document.rows[0].phases_s["other"] == pytest.approx(0.006)


def test_batches_that_were_used_again_are_not_said_to_come_from_no_loader(tmp_path: Path) -> None:
    """`itertools.cycle(loader)`: a few came from it."""
    script = Script()
    script.loader()
    number = script.begin()
    for _ in range(5):
        script.step(number)
    for _ in range(50):
        script.step(NO_LOADER, wait_s=0.0)
    (warning,) = answer(tmp_path, script).warnings
    assert warning.code == "no_loader"
    assert warning.text.startswith("most steps had no batch of their own from a DataLoader")


def test_another_thread_beside_a_loader_that_trains_is_nothing(tmp_path: Path) -> None:
    """An evaluation in a thread of its own."""
    script = Script()
    for place in (0, 1):
        script.loader(place)
    number = script.begin()
    script.event("other_thread", loader=1, batches=2)
    for _ in range(50):
        script.step(number)
    document = answer(tmp_path, script)
    assert document.warnings == () and document.rows[0].exposed_wait_s is not None


@pytest.mark.parametrize("launched", [True, False])
def test_why_collectives_are_not_known_under_nccl(tmp_path: Path, launched: bool) -> None:
    """The host only launches them; of a rank by itself nothing else is known either."""
    script = Script(rank=0, world_size=2)
    script.loader()
    number = script.begin()
    if launched:
        script.event("launched_collectives", backend="nccl")
    for _ in range(50):
        script.step(number)
    document = answer(tmp_path, script)
    assert document.diagnosis is not None
    reason = document.diagnosis.unavailable["communication"]
    assert reason == ("only_launched" if launched else "no_data")


def test_what_batches_made_by_hand_are_waited_for_is_not_known(tmp_path: Path) -> None:
    """Null with its reason, in the row and in the diagnosis; never 0 seconds."""
    script = Script()
    for _ in range(200):
        script.step(NO_LOADER, wait_s=0.0)
    document = answer(tmp_path, script)
    (row,), found = document.rows, document.diagnosis
    assert row.exposed_wait_s is None and "data_wait" not in row.phases_s
    assert row.phases_s["backward"] == pytest.approx(0.005)
    assert found is not None and found.primary == "compute_bound"
    assert not {"waiting", "transfer"} & found.breakdown_s.keys()
    assert sum(found.breakdown_s.values()) == pytest.approx(199 * 0.009)
    assert row.unavailable["exposed_wait_s"] == "no_loader"
    assert found.unavailable["waiting"] == found.unavailable["transfer"] == "no_loader"


def test_nothing_is_said_where_two_threads_train_at_a_time(tmp_path: Path) -> None:
    """The steps of the one that is followed wait for a loader, which would be a verdict by itself."""
    script = Script()
    script.loader()
    number = script.begin()
    script.event("threads_at_once")
    for _ in range(50):
        script.step(number, wait_s=0.1)
    document = answer(tmp_path, script)
    (row,), (warning,), found = document.rows, document.warnings, document.diagnosis
    assert found is not None and found.primary == "inconclusive"
    assert (found.verdicts, found.remedies, found.breakdown_s) == ((), (), {})
    assert (warning.code, warning.text) == ("threads_at_once", found.inconclusive_because)
    assert "run each training in a process of its own" in warning.text
    assert row.exposed_wait_s is None and row.unavailable["exposed_wait_s"] == "threads_at_once"


def test_epochs_follow_each_other_as_their_steps_do(tmp_path: Path) -> None:
    """Iterators that were asked for in another order than they were used in."""
    script = Script()
    script.loader()
    late, early = script.begin(), script.begin()
    for number in (early, late):
        for _ in range(30):
            script.step(number)
    document = answer(tmp_path, script)
    assert document.method["epochs_seen"] == 2
    assert document.rows[0].windows["first_epoch"].steps == 30 - 20
