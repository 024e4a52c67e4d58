"""`perfkit compare`: which runs are meant, what comes out, and the exit code."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bench_command import Told, told
from report_documents import failed
from simulated_runs import simulated

from perfkit import documentfile as documents
from perfkit.document import Document


@pytest.fixture
def compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Told]:
    """Run `perfkit compare` in an empty folder; exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    return told(monkeypatch, capsys, "compare")


def store(name: str, document: Document) -> str:
    """Write a run as --json does."""
    documents.write(document, Path(name))
    return name


def runs(*, slower: float = 1.0, generations: int = 8) -> tuple[str, str]:
    """Two runs, of which the second's last row takes longer."""
    rng = random.Random(7)
    old = simulated(rng, generations=generations)
    new = simulated(rng, slower=slower, generations=generations)
    return store("old.json", old), store("new.json", new)


def test_a_slower_row_and_its_gate(compare: Callable[..., Told]) -> None:
    """Slower is an answer: the exit code is the gate's."""
    old, new = runs(slower=1.3)
    code, out, err = compare(old, new, "--fail-on", "memory:5%")
    assert (code, err) == (0, "")
    assert "Slower: convnext/amp" in out and "none tripped of memory:5%" in out
    code, out, _ = compare(old, new, "--fail-on", "slower:5%")
    assert code == 1 and "slower:5% tripped by convnext/amp" in out
    assert compare(new, old, "--fail-on", "slower:5%")[0] == 0


def test_inconclusive_is_four_without_a_gate(compare: Callable[..., Told]) -> None:
    """With a gate only what it asks for counts."""
    old, new = runs(generations=3)
    assert compare(old, new)[0] == 4
    assert compare(old, new, "--fail-on", "slower:5%")[0] == 0
    assert compare(old, new, "--fail-on", "slower:5%,inconclusive")[0] == 1


def test_against_itself_is_the_same(compare: Callable[..., Told]) -> None:
    """The file, a copy of it, and the same study twice."""
    old, _ = runs(generations=2)
    Path("copy.json").write_bytes(Path(old).read_bytes())
    for other in (old, "copy.json"):
        code, out, _ = compare(old, other, "--fail-on", "slower:0%,memory:0%,inconclusive")
        assert code == 0 and "one and the same study" in out


def test_a_row_that_fails_now_is_a_failure(compare: Callable[..., Told]) -> None:
    """Exit code 1 without any gate, with the row's message."""
    old, new = runs()
    document = documents.read(Path(new))
    broken = failed("convnext/amp", "oom", "no memory at batch 16")
    store(new, replace(document, rows=(document.rows[0], broken)))
    code, out, _ = compare(old, new)
    assert code == 1 and "no memory at batch 16" in out
    assert compare(new, old)[0] != 1


def test_new_is_the_latest_study_if_left_out(compare: Callable[..., Told]) -> None:
    """`perfkit compare main.json` after a bench."""
    old, new = runs(slower=1.3)
    folder = Path(".perfkit/20260101T000000Z-bench")
    folder.mkdir(parents=True)
    Path(new).rename(folder / "document.json")
    code, out, _ = compare(old)
    assert "Slower: convnext/amp" in out and "20260101T000000Z-bench" in out
    assert compare(old, "latest")[:2] == (code, out)


def test_json_is_the_whole_comparison(compare: Callable[..., Told]) -> None:
    """With - the table goes to stderr; a report of it is refused with a hint."""
    old, new = runs(slower=1.3)
    code, out, err = compare(old, new, "--json", "-", "--fail-on", "slower:5%")
    found = json.loads(out)
    assert code == 1 and "Slower" in err
    assert found["kind"] == "compare" and found["rows"] == []
    assert [row["key"] for row in found["compared"]] == ["convnext/fp32", "convnext/amp"]
    assert found["tripped"][0]["code"] == "slower:5%"
    compare(old, new, "--json", "compared.json")
    assert json.loads(Path("compared.json").read_text())["compared"] == found["compared"]
    code, _, err = compare(old, "compared.json")
    assert code == 2 and "it is the answer of perfkit compare" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing.json", "new.json"),
        ("old.json", "new.json", "--fail-on", "faster:5%"),
        ("old.json", "new.json", "--json", "no/such/folder.json"),
        ("old.json", "broken.json"),
        (),
        ("old.json", "new.json", "old.json"),
    ],
    ids=["absent", "gate", "json", "broken", "none", "three"],
)
def test_what_is_refused(compare: Callable[..., Told], arguments: tuple[str, ...]) -> None:
    """Exit code 2, one error, one hint or the usage, nothing on stdout."""
    runs()
    Path("broken.json").write_text("{")
    code, out, err = compare(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and "\n" in err
