"""The rule that sees the device wait for batches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from evidences import CONFIG, blocks, evidence

from perfkit.config import RunConfig
from perfkit.diagnosis.evidence import OwnWork
from perfkit.diagnosis.rules.input_bound import HIGH_SHARE, IN_MEMORY_S, MODERATE_SHARE, check
from perfkit.document import Finding


def test_fires_at_its_thresholds() -> None:
    """Waiting for the threshold's share of the epoch is a finding of that share."""
    moderate = check(evidence(exposed_wait_s=0.1 * MODERATE_SHARE))
    high = check(evidence(exposed_wait_s=0.1 * HIGH_SHARE))
    assert moderate is not None and high is not None
    assert (moderate.severity, high.severity) == ("moderate", "high")
    assert (moderate.share, high.share) == pytest.approx((MODERATE_SHARE, HIGH_SHARE))
    assert "20 % of the epoch: 20.0 ms of a step of 100 ms" in high.message


def test_is_silent_just_below() -> None:
    """A little less waiting than the moderate share is no finding."""
    assert check(evidence(exposed_wait_s=0.0999 * MODERATE_SHARE)) is None


def test_share_is_of_the_epoch() -> None:
    """Where steps are half of the epoch, waiting for 30 % of a step is 15 % of the epoch."""
    found = check(evidence(exposed_wait_s=0.03, epoch_parts_s={"steps": 10.0, "evaluation": 10.0}))
    assert found is not None and found.share == pytest.approx(0.15)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_function_that_makes_batches_is_named(workers: int) -> None:
    """In the training process or in its workers."""
    seen = {
        "__getitem__ (data.py:31)": OwnWork(share=0.8, inner="augment, data.py:12", inner_share=0.6)
    }
    given = evidence(
        replace(CONFIG, num_workers=workers), exposed_wait_s=0.05, loader={"fetch_s": 0.08}
    )
    told = "80 % of that was seen in `__getitem__` (data.py:31), most of it in augment, data.py:12."
    named, nameless = check(replace(given, making=seen)), check(given)
    assert named is not None and nameless is not None
    assert told in named.evidence and told not in nameless.evidence
    assert (named.where, nameless.where) == ("augment (data.py:12)", None)


@pytest.mark.parametrize("seen", [True, False])
def test_where_a_batch_of_another_thread_is_waited_for_is_told(seen: bool) -> None:
    """And what that thread did meanwhile; another process does not show that."""
    read = {"_fill (data.py:20)": OwnWork(share=0.9, inner="read, data.py:3", inner_share=0.8)}
    given = replace(
        evidence(replace(CONFIG, num_workers=0), exposed_wait_s=0.05),
        waited={"batches (train.py:18)": OwnWork(share=0.97)},
        making=read if seen else {},
    )
    found = check(given)
    assert found is not None and found.stage is None
    told = [
        "The training was seen to wait 50.0 ms of a mean step for another thread or process, 97 % of it in"
        " `batches` (train.py:18)."
    ]
    if seen:
        told.append(
            "90 % of that thread's time meanwhile was seen in `_fill` (data.py:20), most of it in read,"
            " data.py:3."
        )
    assert list(found.evidence) == told
    assert found.where == ("read (data.py:3)" if seen else "batches (train.py:18)")
    assert "have several processes do it" in found.try_next


@pytest.mark.parametrize("missing", ["exposed_wait_s", "epoch_parts_s"])
def test_abstains_without_its_signal(missing: str) -> None:
    """Without the wait, its phase included, or the epoch there is nothing to say."""
    value = None if missing == "exposed_wait_s" else {}
    given = {"exposed_wait_s": 0.05, "phases_s": {"forward": 0.05}}
    assert check(evidence(**given)) is not None
    assert check(evidence(**(given | {missing: value}))) is None


@pytest.mark.parametrize(
    ("workers", "cores", "advice"),
    [
        (0, 2, "--variant num_workers=1; where all data is in memory, fetch whole batches"),
        (1, 2, "--variant num_workers=2"),
        (6, 8, "--variant num_workers=8"),
        (3, None, "--variant num_workers=6"),
        (2, 2, "2 loader workers and 2 cores: more workers would queue"),
        (4, 2, "4 loader workers and 2 cores: more workers would queue"),
    ],
)
def test_suggests_no_more_workers_than_cores(workers: int, cores: int | None, advice: str) -> None:
    """More workers are suggested up to the cores, then cheaper samples."""
    given = evidence(replace(CONFIG, num_workers=workers), cores, exposed_wait_s=0.05)
    found = check(given)
    assert found is not None and advice in found.try_next


def handing_over(waiting: float, transfer: float, config: RunConfig = CONFIG) -> Finding:
    """What is found of a step of 0.1 s that gets its batch in these parts."""
    phases = {"waiting": waiting, "transfer": transfer, "forward": 0.1 - waiting - transfer}
    found = check(evidence(config, phases_s=phases, exposed_wait_s=waiting + transfer))
    assert found is not None
    return found


def test_more_workers_are_not_advised_where_batches_were_ready() -> None:
    """A queue that is full while next() is 69 % of the step: handing over, and what lessens it."""
    found = handing_over(waiting=0.003, transfer=0.066)
    assert (found.kind, found.severity, found.share) == ("input_bound", "high", pytest.approx(0.69))
    assert "69 % of the epoch" in found.message
    assert found.message.endswith("96 % of it handing over ones that were ready.")
    assert found.try_next.startswith("More workers will not help")
    assert "collate" in found.try_next and "num_workers" not in found.try_next


def test_more_workers_are_advised_where_batches_were_not_ready() -> None:
    """Only waiting calls for them; from more than half of it on, handing over is what counts."""
    assert "--variant num_workers=2" in handing_over(waiting=0.03, transfer=0.03).try_next
    assert "More workers will not" in handing_over(waiting=0.03, transfer=0.0301).try_next
    assert "handing over" not in handing_over(waiting=0.06, transfer=0.0).message


def test_without_workers_nothing_is_handed_over() -> None:
    """Whatever a loader without workers calls ready, no worker put it there."""
    found = handing_over(0.0, 0.05, replace(CONFIG, num_workers=0))
    assert "handing over" not in found.message + found.try_next


def test_a_process_without_workers_pins_its_batches_itself() -> None:
    """On a GPU: what is neither reading nor collating; not decoding, however little else is recorded."""
    config = replace(CONFIG, num_workers=0, devices=("cuda:0",), pin_memory=True)
    loader = {"fetch_s": 0.13e-3, "fetch_cpu_s": 0.07e-3, "collate_s": 0.01e-3}
    measured: dict[str, Any] = {"exposed_wait_s": 0.05, "loader": loader}
    found = check(evidence(config, **measured))
    assert found is not None and found.stage == "transfer"
    assert "num_workers=1" in found.try_next and "--no-pin-memory" in found.try_next
    assert any("pins it in 49.9 ms" in told for told in found.evidence)
    without = check(evidence(replace(config, pin_memory=False), **measured))
    assert without is not None and without.stage == "decode"
    on_cpu = check(evidence(replace(config, devices=("cpu",)), **measured))
    assert on_cpu is not None and on_cpu.stage == "decode"


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_samples_from_memory_are_fetched_at_once(workers: int) -> None:
    """1024 rows of a table drawn one by one, 3 µs each: nobody is told to add workers."""
    config = replace(CONFIG, num_workers=workers, batch_size=1024, num_samples=102_400)
    loader = {"fetch_s": 2.2e-3, "fetch_cpu_s": 2.2e-3, "collate_s": 0.9e-3}
    found = check(evidence(config, 16, exposed_wait_s=0.05, loader=loader))
    assert found is not None
    assert "__getitems__" in found.try_next and "num_workers" not in found.try_next
    assert found.try_next.startswith("Samples come from memory, 3.03 µs each")


def test_samples_that_cost_something_call_for_workers() -> None:
    """The threshold is per sample: just above it a sample may be read and decoded."""
    config = replace(CONFIG, num_workers=0, batch_size=10, num_samples=1000)
    below = check(evidence(config, exposed_wait_s=0.05, loader={"fetch_s": 9.9 * IN_MEMORY_S}))
    above = check(evidence(config, exposed_wait_s=0.05, loader={"fetch_s": 10.1 * IN_MEMORY_S}))
    assert below is not None and "__getitems__" in below.try_next
    assert above is not None and above.try_next.endswith("--variant num_workers=1")


SLOW = {"fetch_s": 0.06, "fetch_cpu_s": 0.01, "collate_s": 0.02, "collate_cpu_s": 0.02}
WAITS = {"exposed_wait_s": 0.05, "not_ready_share": 0.9}


@pytest.mark.parametrize(
    ("loader", "stage"),
    [
        (SLOW, "storage"),
        (SLOW | {"fetch_cpu_s": 0.05}, "decode"),
        (SLOW | {"collate_s": 0.1}, "collate"),
        # what a thread computed was not seen: fetching is taken for computing
        ({"fetch_s": 0.06}, "decode"),
        ({"busy_share": 0.5}, None),
    ],
)
def test_the_stage_is_the_largest(loader: dict[str, float], stage: str | None) -> None:
    """Blocked in fetching, computing in it, or collating."""
    found = check(evidence(replace(CONFIG, num_workers=2), 8, loader=loader, **WAITS))
    assert found is not None and found.stage == stage


def test_waiting_for_a_core_is_not_storage() -> None:
    """Eight workers on two cores: most of the time each of them waits for its turn to decode."""
    loader = {"fetch_s": 0.1, "fetch_cpu_s": 0.02, "collate_s": 0.01, "collate_cpu_s": 0.002}
    loader["busy_share"] = 1.0
    config = replace(CONFIG, num_workers=8)
    queued = check(evidence(config, 2, loader=loader, **WAITS))
    alone = check(evidence(config, 16, loader=loader, **WAITS))
    assert queued is not None and alone is not None
    assert (queued.stage, alone.stage) == ("decode", "storage")
    assert (queued.flags, alone.flags) == ((), ("too_few_workers",))


@pytest.mark.parametrize(
    ("workers", "cores", "loader", "flags"),
    [
        (2, 8, SLOW | {"busy_share": 0.9}, ("too_few_workers",)),
        (2, 8, SLOW | {"busy_share": 0.89}, ()),
        # blocked workers need no cores
        (2, 2, SLOW | {"busy_share": 1.0}, ("too_few_workers",)),
        (2, 3, {"fetch_s": 0.06, "busy_share": 1.0}, ()),
        (2, 4, {"fetch_s": 0.06, "busy_share": 1.0}, ("too_few_workers",)),
        (2, 8, SLOW, ()),
        (0, 4, {"fetch_s": 0.06}, ("too_few_workers",)),
        (0, 4, {"fetch_s": 16 * 0.9 * IN_MEMORY_S}, ()),
    ],
)
def test_too_few_workers(
    workers: int, cores: int, loader: dict[str, float], flags: tuple[str, ...]
) -> None:
    """They have no rest, and there is room for more."""
    found = check(evidence(replace(CONFIG, num_workers=workers), cores, loader=loader, **WAITS))
    assert found is not None and found.flags == flags


def test_single_stalls_are_told_from_a_slow_loader() -> None:
    """0.6 s every tenth step, beside 1 ms in the others, and the same sum spread over all."""
    config = replace(CONFIG, num_workers=2)
    row = {"epoch_parts_s": {"steps": 10.0}, "loader": {"fetch_s": 0.01}}
    stall, even = (0.6, *(0.001,) * 9), (0.0609,) * 10
    found, spread = (
        check(
            replace(
                evidence(config, 8, **row),
                stretches=tuple(blocks("real", 0.1, waits=waits, ready=0)),
            )
        )
        for waits in (stall, even)
    )
    assert found is not None and spread is not None
    assert found.share == pytest.approx(0.609) == spread.share
    assert (found.flags, spread.flags) == (("stalls",), ())
    assert found.evidence[:2] == (
        "The next batch was not ready at 100 % of the steps, and the training waited 60.9 ms of a mean step"
        " for it.",
        "A tenth of the steps has 99 % of all waiting: single stalls of up to 600 ms, about every 10 steps,"
        " not a loader that is slow throughout.",
    )


def delayed(phase: str, wait_s: float, loader: dict[str, float]) -> Finding | None:
    """The verdict on steps of 100 ms that wait in that phase, and for cores during 20 ms."""
    phases = {phase: wait_s, "forward": 0.1 - wait_s}
    row = {"phases_s": phases, "exposed_wait_s": wait_s, "run_delay_s": 0.02, "loader": loader}
    return check(evidence(replace(CONFIG, num_workers=2), 8, **row))


@pytest.mark.parametrize(
    ("tensors", "advice"), [(None, "for every tensor"), (10.0, "for every tensor"), (9.0, "bytes")]
)
def test_advice_on_handing_over_goes_by_how_many_tensors(
    tensors: float | None, advice: str
) -> None:
    """Few of them cannot be packed any further."""
    loader = {"fetch_s": 0.001, "fetch_cpu_s": 0.001, "serialise_cpu_s": 0.05}
    known = loader if tensors is None else loader | {"tensors": tensors}
    found = delayed("transfer", 0.06, known)
    assert found is not None
    assert found.stage == "transfer"
    assert advice in found.try_next


def test_what_decoding_costs_besides_goes_with_it() -> None:
    """30 ms of waiting, and 20 ms that the same work takes from the training; storage takes none."""
    decodes, reads = (
        delayed("waiting", 0.03, {"fetch_s": 0.06, "fetch_cpu_s": cpu_s}) for cpu_s in (0.06, 0.001)
    )
    assert decodes is not None and decodes.removable_s is not None
    assert (decodes.share, decodes.removable_s.value) == pytest.approx((0.3, 5.0))
    assert "takes cores from the training for 20.0 ms of a step more" in decodes.evidence[-1]
    assert reads is not None and reads.removable_s is not None
    assert reads.removable_s.value == pytest.approx(3.0)


def test_handing_over_takes_cores_where_serialising_is_most_of_it() -> None:
    """60 ms for batches that are there, and 20 that the workers take: for packing them, or for decoding."""
    loader = {"fetch_s": 0.06, "fetch_cpu_s": 0.02}
    packs, decodes = (
        delayed("transfer", 0.06, loader | {"serialise_cpu_s": serialise_s})
        for serialise_s in (0.03, 0.01)
    )
    assert packs is not None and packs.removable_s is not None
    assert decodes is not None and decodes.removable_s is not None
    assert (packs.stage, packs.removable_s.value) == ("transfer", pytest.approx(8.0))
    assert (decodes.stage, decodes.removable_s.value) == ("transfer", pytest.approx(6.0))
