"""The members of a row's mappings: known by name wherever a document holds one."""

from __future__ import annotations

from pathlib import Path

import pytest
from unlisted import unlisted

from perfkit.documentfile import read
from perfkit.members import MEMBERS, NAMED_BY_USER
from perfkit.metrics import METRICS

ROOT = Path(__file__).parents[1]
STORED = sorted(ROOT.glob("reports/*/**/document.json"))


def test_every_mapping_has_a_list() -> None:
    """And nothing else has one; descriptions have no full stop."""
    assert set(MEMBERS) == {name for name, metric in METRICS.items() if metric.member}
    assert set(NAMED_BY_USER) < set(MEMBERS)
    for known in MEMBERS.values():
        assert all(one.description and not one.description.endswith(".") for one in known.values())


@pytest.mark.parametrize(
    ("suffix", "kind"), [("_s", "duration"), ("_bytes", "bytes"), ("_share", "share")]
)
def test_a_suffix_is_the_unit(suffix: str, kind: str) -> None:
    """Names that end in a unit are of its kind."""
    ending = [
        one for known in MEMBERS.values() for name, one in known.items() if name.endswith(suffix)
    ]
    assert ending and {one.kind for one in ending} == {kind}


@pytest.mark.parametrize("path", STORED, ids=lambda path: str(path.relative_to(ROOT / "reports")))
def test_a_stored_document_has_no_others(path: Path) -> None:
    """Of every command and machine that reports were made with."""
    document = read(path)
    assert document.rows
    assert unlisted(document) == set()
