"""Attribution against a simulation that knows the truth: what happened, and the same without one cause.

A training process is played on the simulated device, recorded by the real recorder and read back as a study
reads it. The truth is of whole epochs as a plain script runs them, with nobody recording: from the list of
kernels and of what the host did, and from playing it again with one cause at zero.

What is claimed, and of what trainings:

- Blocks and epochs hold every batch equally often. What chance puts into one block is not in question here.
- A wait is the whole of a `next()` whose batch was not there; without workers all of it.
- With calls that wait for the device, what it idles for launches counts as theirs; so does what it idles for
  batches that are handed over, as far as that is hidden in the same training without these calls.
- Removable is what one cause costs that nothing else would take in its place. Not claimed is what launches
  and copies cost beside a host that hands over for as long as the device computes (`handing`): they are
  hidden, and how deeply nobody says; nor copies beside single stalls, which they help to hide (`stalling`).
- What handing over costs because a call drained the queue goes without either. It is told of the call alone:
  not claimed is what `synchronising` would save without handing over.
- Where every batch is late, what handing one over takes is not known, and counts as waiting: a loader that
  takes long to hand over keeps two batches ready at least.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_jobs import ON_DEVICE, ON_HOST, make_job
from simulated_loader import Job
from simulated_process import evidence_from, pass_steps
from simulated_truth import exclusive_s, wall_s, without

from perfkit.diagnosis.attribution import attribute
from perfkit.diagnosis.evidence import Attribution

EXCLUSIVE = 0.01
"""Of the epoch."""
REMOVABLE = 0.05
NOT_CLAIMED = (
    ("handing", "host_launch"),
    ("handing", "h2d"),
    ("stalling", "h2d"),
    ("synchronising", "transfer"),
)
NOT_SIMULATED = ("contention", "communication")
seeds = st.integers(0, 2**32)


def attributed(job: Job) -> Attribution:
    """What perfkit says of a job."""
    with TemporaryDirectory() as folder:
        found = attribute(evidence_from(job, Path(folder) / "process"))
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ON_DEVICE + ON_HOST)
@given(seed=seeds)
@settings(max_examples=3, derandomize=True)
def test_exclusive_seconds_are_what_happened(kind: str, seed: int) -> None:
    """Every part within 1 % of the epoch, and all of them together the wall clock."""
    job = make_job(kind, seed)
    found, truth = attributed(job), exclusive_s(job, pass_steps(job))
    whole_s = wall_s(job)
    assert sum(truth.values()) == pytest.approx(whole_s)
    assert sum(found.seconds.values()) == pytest.approx(found.epoch_s)
    for part, seconds in found.seconds.items():
        assert abs(seconds - truth.get(part, 0.0)) <= EXCLUSIVE * whole_s, part


@pytest.mark.parametrize("kind", ON_DEVICE + ON_HOST)
@given(seed=seeds)
@settings(max_examples=2, derandomize=True)
def test_removable_seconds_are_what_goes_without_the_cause(kind: str, seed: int) -> None:
    """Within 5 % of the epoch, for every cause that is told."""
    job = make_job(kind, seed)
    found, whole_s = attributed(job), wall_s(job)
    for part, told in found.removable_s.items():
        if part in NOT_SIMULATED or (kind, part) in NOT_CLAIMED:
            continue
        saved_s = whole_s - wall_s(without(job, part))
        assert abs(told.value - saved_s) <= REMOVABLE * whole_s, part


@pytest.mark.parametrize("seed", [0, 1])
def test_a_drained_queue_covers_what_it_would_have_covered(seed: int) -> None:
    """Handing over takes longer than a step computes, and each step ends with a `.item()`: both cost."""
    job = replace(make_job("handing", seed), item=True)
    found, truth, whole_s = attributed(job), exclusive_s(job, pass_steps(job)), wall_s(job)
    assert min(truth["transfer"], truth["sync"]) > 0.04 * whole_s
    for part in ("transfer", "sync"):
        assert abs(found.seconds[part] - truth[part]) <= EXCLUSIVE * whole_s, part


LARGEST = {
    "fed": "compute", "starved": "waiting", "stalling": "waiting", "handing": "transfer",
    "launching": "host_launch", "synchronising": "sync", "host_fed": "compute",
    "host_starved": "waiting", "host_handing": "transfer", "host_alone": "waiting",
}  # fmt: skip


@pytest.mark.parametrize("kind", LARGEST)
def test_kinds_of_jobs_are_what_they_are_called(kind: str) -> None:
    """The simulation loses time where its name says, so that each part is large somewhere."""
    jobs = [make_job(kind, seed) for seed in range(4)]
    lost = [exclusive_s(job, pass_steps(job))[LARGEST[kind]] / wall_s(job) for job in jobs]
    assert max(lost) > 0.1
