"""What a rule may look at, and how what is missing looks."""

from __future__ import annotations

import pytest
from evidences import evidence

from perfkit.diagnosis.evidence import LoaderFacts


def test_what_was_not_measured_is_none() -> None:
    """Attribution, burst, telemetry and loader facts are there only where they were recorded."""
    bare = evidence(epoch_parts_s={}, phases_s={}, cores=None)
    for name in (
        "attribution", "burst", "telemetry", "loader", "cores", "epoch_s", "step_s", "transfer_share",
    ):  # fmt: skip
        assert getattr(bare, name) is None
    assert bare.share_of_epoch(1.0) is None
    assert bare.stretches == ()


def test_loader_facts_are_the_rows() -> None:
    """Whatever else a row tells of its loader."""
    given = evidence(loader={"batches": 12.0, "fetch_s": 0.2, "collate_s": 0.1, "busy_share": None})
    assert given.loader == LoaderFacts(fetch_s=0.2, collate_s=0.1)
    assert given.loader.made_s == pytest.approx(0.3)
    assert LoaderFacts(collate_s=0.1).made_s is None


def test_share_of_taking_over() -> None:
    """Transfer ÷ (waiting + transfer); unknown where readiness is, or where nothing was waited for."""
    assert evidence(phases_s={"waiting": 0.01, "transfer": 0.03}).transfer_share == 0.75
    assert evidence(phases_s={"transfer": 0.03}).transfer_share == 1.0
    assert evidence(phases_s={"data_wait": 0.03}).transfer_share is None
    assert evidence(phases_s={"waiting": 0.0, "transfer": 0.0}).transfer_share is None
