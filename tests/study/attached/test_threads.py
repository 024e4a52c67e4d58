"""What is said of a training whose batches another thread fetches, or that has no loader."""

from __future__ import annotations

from pathlib import Path

import pytest
from attached_folders import Script, answer

from perfkit.records import NAN
from perfkit.study.attached.passes import NO_LOADER


def prefetched(*, other_s: float) -> Script:
    """A thread iterates over a loader; the main thread trains from a queue: no forward is seen there."""
    script = Script()
    script.loader()
    script.begin()
    script.event("other_thread", loader=0, batches=2)
    for _ in range(200):
        script.step(NO_LOADER, wait_s=0.0, forward_s=NAN, other_s=other_s)
    return script


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


def seen_waiting(script: Script, waited_s: float, waits_in: str = "get", steps: int = 200) -> None:
    """What its stack showed, of so many steps."""
    script.event(
        "stack", where="train.py:40", function="batches", waits_in=waits_in, seconds=steps * waited_s,
        in_steps=steps // 2, of_steps=steps,
    )  # fmt: skip


@pytest.mark.parametrize("forward_s", [NAN, 0.002])
@pytest.mark.parametrize("threads", [True, False])
def test_what_a_queue_is_waited_for_is_known_where_the_stack_showed_it(
    tmp_path: Path, threads: bool, forward_s: float
) -> None:
    """Of a thread's batches and of a process's, 9 of 20 ms; the rest of what is in no phase stays."""
    script = Script()
    if threads:
        script.loader()
        script.begin()
        script.event("other_thread", loader=0, batches=2)
    other_s = 0.014 if forward_s != forward_s else 0.012
    for _ in range(200):
        script.step(NO_LOADER, wait_s=0.0, forward_s=forward_s, other_s=other_s)
    seen_waiting(script, 0.009)
    script.event("stack", where="train.py:50", function="log", seconds=0.2, of_steps=200)
    script.event("batch_stack", where="d.py:20", function="_fill", seconds=1.7, of_steps=200)
    document = answer(tmp_path, script)
    (row,), found = document.rows, document.diagnosis
    assert found is not None and found.primary == "input_bound"
    assert row.exposed_wait_s == pytest.approx(0.009)
    assert row.phases_s["data_wait"] == pytest.approx(0.009)
    assert row.phases_s["other"] == pytest.approx(other_s - 0.009)
    assert found.breakdown_s["waiting"] / sum(found.breakdown_s.values()) == pytest.approx(0.45)
    (verdict,) = [one for one in found.verdicts if one.kind == "input_bound"]
    assert (
        "wait 9.00 ms of a mean step" in verdict.evidence[0] and "`batches`" in verdict.evidence[0]
    )
    assert verdict.where == "_fill (d.py:20)"
    advised = next(one for one in found.remedies if one.name == "faster_producer")
    assert advised.snippet.startswith("# _fill (d.py:20)\n")
    # whose workers are not known
    assert "num_workers" not in {one.name for one in found.remedies}
    (warning,) = document.warnings
    assert warning.code == "no_loader" and "what its stack showed" in warning.text


@pytest.mark.parametrize(("waited_s", "waits_in"), [(0.0011, "get"), (0.006, "join")])
def test_little_is_not_taken_for_waiting_nor_is_the_end_of_a_thread(
    tmp_path: Path, waited_s: float, waits_in: str
) -> None:
    """Of a step of 12 ms; a thread that is joined gives no batch."""
    script = prefetched(other_s=0.006)
    seen_waiting(script, waited_s, waits_in)
    (row,) = answer(tmp_path, script).rows
    assert row.exposed_wait_s is None
    assert row.phases_s["other"] == pytest.approx(0.006)


def test_single_long_waits_are_the_steps_that_they_were_in(tmp_path: Path) -> None:
    """A producer that stalls: the wait is where the time is, and no work between steps."""
    script = Script()
    for step in range(200):
        stall_s = 0.2 if step % 20 == 10 else 0.0
        script.step(NO_LOADER, wait_s=0.0, other_s=stall_s)
    seen_waiting(script, 0.01)
    found = answer(tmp_path, script).diagnosis
    assert found is not None and found.primary == "input_bound"
    (verdict,) = [one for one in found.verdicts if one.kind == "input_bound"]
    assert "stalls" in verdict.flags


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
