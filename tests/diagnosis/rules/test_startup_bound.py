"""The rule that sees what starting costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evidences import CONFIG, evidence

from perfkit.config import RunConfig
from perfkit.diagnosis.evidence import OwnWork
from perfkit.diagnosis.rules.startup_bound import HIGH_SHARE, MODERATE_SHARE, check


def parts(share: float) -> dict[str, float]:
    """An epoch of 10 s whose start is a share of it."""
    return {"steps": 10 * (1 - share), "epoch_start": 10 * share}


def test_fires_at_its_thresholds() -> None:
    """A start of the threshold's share of the epoch is a finding of that share."""
    moderate = check(evidence(epoch_parts_s=parts(MODERATE_SHARE + 1e-9)))
    high = check(evidence(epoch_parts_s=parts(HIGH_SHARE + 1e-9)))
    assert moderate is not None and high is not None
    assert (moderate.severity, high.severity) == ("moderate", "high")
    assert high.share == pytest.approx(HIGH_SHARE)
    assert high.message == "Starting takes 15 % of an epoch: 1.50 s at the start of each."


def test_is_silent_just_below() -> None:
    """A little less than the moderate share is no finding."""
    assert check(evidence(epoch_parts_s=parts(0.999 * MODERATE_SHARE))) is None


def test_costs_of_the_first_epoch_are_spread_over_all() -> None:
    """A first step of 40 s is a third of an epoch of 10 s in eight epochs, and nothing in a thousand."""
    once = {"worker_start": 0.0, "first_batch": 0.0, "first_step": 40.1}
    few = check(evidence(replace(CONFIG, epochs=8), startup_s=once))
    many = check(evidence(replace(CONFIG, epochs=1000), startup_s=once))
    assert few is not None and few.share == pytest.approx(1 / 3)
    assert "40.0 s once, spread over 8 epochs" in few.message
    assert "--epochs N" in few.try_next
    assert many is None


def test_abstains_without_its_signal() -> None:
    """Without an epoch, or without any cost of starting, there is nothing to say."""
    assert check(evidence(epoch_parts_s={}, startup_s={"first_step": 40.0})) is None
    assert check(evidence()) is None


@pytest.mark.parametrize(
    ("config", "advice"),
    [
        (replace(CONFIG, persistent_workers=False), "--variant persistent_workers=1"),
        (replace(CONFIG, persistent_workers=True), "Make epochs longer"),
        (replace(CONFIG, num_workers=0, persistent_workers=False), "Make epochs longer"),
    ],
)
def test_suggests_workers_that_persist_where_they_do_not(config: RunConfig, advice: str) -> None:
    """Persistent workers are the remedy only where there are workers and they do not persist."""
    found = check(evidence(config, epoch_parts_s=parts(0.2)))
    assert found is not None and advice in found.try_next


def test_compiling_pays_off_in_longer_runs() -> None:
    """A compiled row is told so."""
    config = replace(CONFIG, variants=(("fp32", None), ("compile", None)), epochs=2)
    found = check(evidence(config, startup_s={"first_step": 40.0}))
    assert found is not None and "Compiling pays off" in found.try_next


def test_a_single_cold_start_counts_as_it_is() -> None:
    """Where only one process was seen its first step counts; beside later ones theirs does."""
    cold = {"first_step_cold": 40.1}
    alone = check(evidence(startup_s=cold))
    later = check(evidence(startup_s=cold | {"first_step": 40.1}))
    warm = check(evidence(startup_s=cold | {"first_step": 0.1}))
    assert alone is not None and alone == later
    assert warm is None


RESTARTS = replace(CONFIG, num_workers=2, persistent_workers=False)


@pytest.mark.parametrize(
    ("config", "once", "stage"),
    [
        (RESTARTS, {"worker_start": 1.5, "first_batch": 0.5}, "worker_start"),
        # what a new worker takes longer for its first batch is its start, too
        (RESTARTS, {"worker_start": 0.1, "first_batch": 1.5}, "worker_start"),
        (RESTARTS, {"worker_start": 0.1, "first_batch": 0.8}, "first_batch"),
        (RESTARTS, {}, "worker_start"),
        (replace(CONFIG, num_workers=2), {"worker_start": 1.5}, "first_batch"),
        (replace(CONFIG, num_workers=0), {}, "first_batch"),
        (replace(CONFIG, epochs=2), {"worker_start": 1.0, "first_step": 40.0}, "first_step"),
        (replace(CONFIG, epochs=2), {"worker_start": 40.0, "first_step": 1.0}, "worker_start"),
        (replace(CONFIG, epochs=2), {"first_batch": 40.0, "first_step_cold": 1.0}, "first_batch"),
    ],
)
def test_the_stages_are_told_apart(config: RunConfig, once: dict[str, float], stage: str) -> None:
    """Workers started anew, a slow first batch of every epoch, and what a run spends once."""
    found = check(evidence(config, epoch_parts_s=parts(0.2), startup_s=once))
    assert found is not None and found.stage == stage
    assert found.removable_s is not None and found.removable_s.low is None


def test_what_the_first_batch_of_an_epoch_is_made_in_is_told() -> None:
    """The sampler's own function, where the stack was looked at."""
    given = evidence(replace(CONFIG, num_workers=0), epoch_parts_s=parts(0.2))
    seen = {"__iter__ (sampler.py:9)": OwnWork(share=0.9)}
    found = check(replace(given, first_making=seen))
    assert found is not None
    assert found.try_next.startswith("`__iter__` (sampler.py:9) runs before the first batch")
    assert found.evidence[1] == "90 % of that was seen in `__iter__` (sampler.py:9)."
    assert (found.stage, found.where) == ("first_batch", "__iter__ (sampler.py:9)")


def test_a_batch_that_is_slow_anyway_is_no_start() -> None:
    """1.4 of the 1.5 s of the first batch are what any batch takes."""
    once = {"worker_start": 0.1, "first_batch": 1.5}
    loader = {"fetch_s": 1.4}
    found = check(evidence(RESTARTS, epoch_parts_s=parts(0.2), startup_s=once, loader=loader))
    assert found is not None and found.stage == "first_batch"


def test_what_was_seen_is_told() -> None:
    """Each start by itself."""
    once = {"worker_start": 1.5, "first_batch": 0.5, "first_step": 0.2}
    found = check(evidence(RESTARTS, epoch_parts_s=parts(0.2), startup_s=once))
    assert found is not None
    assert found.evidence == (
        "An epoch takes 2.00 s longer than its steps before it runs steadily, workers being started anew each"
        " time.",
        "When the run begins: starting the workers 1.50 s, the first batch 500 ms, the first step 200 ms.",
    )
