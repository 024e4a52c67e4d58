"""The rule that sees the device wait for batches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import CONFIG, evidence

from perfkit.config import RunConfig
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


@pytest.mark.parametrize("missing", ["exposed_wait_s", "phases_s", "epoch_parts_s"])
def test_abstains_without_its_signal(missing: str) -> None:
    """Without the wait, the step or the epoch there is nothing to say."""
    value = None if missing == "exposed_wait_s" else {}
    assert check(evidence(**({"exposed_wait_s": 0.05} | {missing: value}))) is None


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


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_samples_from_memory_are_fetched_at_once(workers: int) -> None:
    """1024 rows of a table drawn one by one, 3 µs each: nobody is told to add workers."""
    config = replace(CONFIG, num_workers=workers, batch_size=1024)
    loader = {"fetch_s": 2.2e-3, "fetch_cpu_s": 2.2e-3, "collate_s": 0.9e-3}
    found = check(evidence(config, 16, exposed_wait_s=0.05, loader=loader))
    assert found is not None
    assert "__getitems__" in found.try_next and "num_workers" not in found.try_next
    assert found.try_next.startswith("Samples come from memory, 3.03 µs each")


def test_samples_that_cost_something_call_for_workers() -> None:
    """The threshold is per sample: just above it a sample may be read and decoded."""
    config = replace(CONFIG, num_workers=0, batch_size=10)
    below = check(evidence(config, exposed_wait_s=0.05, loader={"fetch_s": 9.9 * IN_MEMORY_S}))
    above = check(evidence(config, exposed_wait_s=0.05, loader={"fetch_s": 10.1 * IN_MEMORY_S}))
    assert below is not None and "__getitems__" in below.try_next
    assert above is not None and above.try_next.endswith("--variant num_workers=1")
