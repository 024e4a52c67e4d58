"""The jobs of `gpu_check.py --part diagnose`: that each of them trains, and what is right to say of it."""

from __future__ import annotations

from dataclasses import replace

import _gpu_jobs
import pytest
from _gpu_jobs import JOBS, arguments_of, row_of, targets
from report_diagnoses import DECODE

from perfkit.config import RunConfig
from perfkit.document import Document, Verdict
from perfkit.stats import Interval
from perfkit.training.loading import first_batch
from perfkit.training.setup import Training


@pytest.mark.parametrize("name", JOBS)
def test_every_job_trains(name: str) -> None:
    """Its factory is there, and the loss of its first batch is finite and can be derived."""
    config = RunConfig(arch=f"{_gpu_jobs.WORKLOADS}:{name}", batch_size=4, num_samples=16)
    training = Training(config)
    loss = training.loss_of(first_batch(config, training.workload))
    loss.backward()
    assert loss.isfinite()


def said(primary: str, *kinds: str) -> Document:
    """A diagnosis with these verdicts."""
    assert DECODE.diagnosis is not None
    verdicts = tuple(
        Verdict(kind=kind, severity="high", share=Interval(0.5), seconds_per_epoch=1.0)
        for kind in kinds
    )
    return replace(DECODE, diagnosis=replace(DECODE.diagnosis, primary=primary, verdicts=verdicts))


def test_a_job_is_right_where_it_is_called_what_it_is() -> None:
    """By its first verdict; and an innocent cause must be nowhere among them."""
    assert row_of("input", said("input_bound", "input_bound"))["is_right"]
    assert not row_of("input", said("compute_bound", "compute_bound"))["is_right"]
    blamed = said("compute_bound", "compute_bound", "input_bound")
    assert not row_of("prefetched", blamed)["is_right"]


def test_an_abstention_is_neither_right_nor_blames() -> None:
    """It is counted apart from a wrong verdict."""
    rows = [
        row_of("compute", said("compute_bound", "compute_bound")),
        row_of("input", said("inconclusive")),
    ]
    right, blamed = targets(rows)
    assert (right.measured, right.met) == ("1 of 2 right (input: inconclusive)", False)
    assert (blamed.measured, blamed.met) == ("none", True)
    rows[1] = row_of("input", said("compute_bound", "compute_bound"))
    assert targets(rows)[1].met is False
    assert [target.met for target in targets([])] == [None, None]


def test_a_small_form_is_small() -> None:
    """On a CPU it shows that the path works: few samples, and no time for arms."""
    small = arguments_of("h2d", small=True)
    assert small[:2] == ["--arch", f"{_gpu_jobs.WORKLOADS}:h2d"]
    assert "64" in small and "16384" not in small
    assert "--no-pin-memory" in arguments_of("h2d", small=False)
