"""The contract of a remedy's file: every one that is found, in our folder or a stranger's, keeps it."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace
from pathlib import Path

import pytest
from cases import CASES
from pipelines import WORKERS, attributed, judged

from perfkit import discovery, variants
from perfkit.diagnosis.predict import epoch_s, pipeline_of, predict
from perfkit.diagnosis.remedies import Proposal, remedies
from perfkit.errors import UsageError

NAMES = discovery.names("remedies")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_what_it_changes_and_where_its_figure_comes_from(name: str) -> None:
    """A first line, a paragraph after it, one public function with the contract's arguments."""
    module = discovery.load("remedies", name)
    doc = inspect.getdoc(module) or ""
    first, _, rest = doc.partition("\n")
    assert len(first) > 20 and first.endswith(".")
    assert len(rest.strip()) > 20
    functions = {
        n
        for n, f in vars(module).items()
        if inspect.isfunction(f) and f.__module__ == module.__name__ and not n.startswith("_")
    }
    assert functions == {"propose"}
    assert list(inspect.signature(module.propose).parameters) == ["evidence", "judgement"]


@pytest.mark.parametrize("name", NAMES)
def test_says_which_verdicts_it_answers(name: str) -> None:
    """Kinds that rules give, with a stage or without; the remedy carries them."""
    answers = discovery.load("remedies", name).ANSWERS
    assert isinstance(answers, tuple) and answers
    assert {answer.partition("/")[0] for answer in answers} <= {*discovery.names("rules")}
    made, judgement = CASES[name]
    found = {remedy.name: remedy for remedy in remedies(made, judgement)}
    assert found[name].answers == answers


@pytest.mark.parametrize("name", sorted(CASES))
def test_answers_the_verdict_that_it_is_given_for(name: str) -> None:
    """In its case the primary verdict is one of those."""
    made, judgement = CASES[name]
    found = {remedy.name: remedy for remedy in remedies(made, judgement)}
    assert found[name].answers_to(judgement.verdicts[0])


@pytest.mark.parametrize("name", NAMES)
def test_has_a_case(name: str) -> None:
    """Some evidence of ours that it applies to: what the tests below hold it to."""
    assert name in CASES


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_proposal_is_whole(name: str) -> None:
    """Sentences, Python to paste, a variant that parses, an effect that costs nothing."""
    made, judgement = CASES[name]
    proposal = discovery.load("remedies", name).propose(made, judgement)
    assert isinstance(proposal, Proposal)
    for sentence in (proposal.why, proposal.risk):
        assert sentence.endswith(".")
        assert sentence[0].isupper() or sentence[0].isdigit() or sentence[0] == "'"
        assert "  " not in sentence and "\n" not in sentence
    assert any(character.isdigit() for character in proposal.why)
    ast.parse(proposal.snippet)
    assert proposal.snippet.strip()
    if proposal.variant is not None:
        assert variants.parse(proposal.variant)
    now = pipeline_of(made)
    assert now is not None
    assert epoch_s(proposal.effect(now)) < epoch_s(now)


@pytest.mark.parametrize("name", sorted(CASES))
def test_it_is_among_the_remedies(name: str) -> None:
    """With its prediction and the command that tries it; a bound begins at 1.0."""
    made, judgement = CASES[name]
    found = {remedy.name: remedy for remedy in remedies(made, judgement)}
    remedy = found[name]
    assert remedy.predicted_speedup is not None and remedy.predicted_speedup.value > 1
    if remedy.basis == "bound":
        assert remedy.predicted_speedup.low == 1.0
    if remedy.variant is not None:
        assert remedy.command is not None and "--variant" in remedy.command


@pytest.mark.parametrize("name", NAMES)
def test_silent_without_its_signal(name: str) -> None:
    """Nothing was attributed, or nothing takes any time: no proposal and no error."""
    propose = discovery.load("remedies", name).propose
    bare = replace(attributed(compute=10.0), attribution=None)
    idle = attributed(replace(WORKERS, arch="mine.py:factory"), other=10.0)
    for made in (bare, idle):
        assert propose(made, judged("input_bound")) is None


@pytest.mark.parametrize("name", sorted(CASES))
def test_no_cause_saves_more_than_is_removable(name: str) -> None:
    """What an arithmetic remedy saves is at most all that was removable."""
    made, judgement = CASES[name]
    proposal = discovery.load("remedies", name).propose(made, judgement)
    if proposal.basis != "arithmetic":
        return
    predicted = predict(made, [proposal.effect])
    assert predicted is not None and made.attribution is not None
    removable = sum(s for n, s in made.attribution.seconds.items() if n not in ("compute", "other"))
    assert predicted.saves_s.value <= removable + 1e-9


STRANGERS = '''"""Coffee for the engineer: an epoch spent away is an epoch that was not waited for.

Its figure is made up.
"""

from dataclasses import replace

from perfkit.diagnosis.remedies import Proposal


def propose(evidence, judgement):
    return Proposal(
        why="An epoch takes 10.0 s.",
        risk="Sleep suffers.",
        snippet="make_coffee()",
        effect=lambda pipeline: replace(pipeline, compute_s=pipeline.compute_s / 2),
    )
'''


def test_a_strangers_file_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In PERFKIT_PATH/remedies, found by its name, ranked among ours."""
    (tmp_path / "remedies").mkdir()
    (tmp_path / "remedies" / "coffee.py").write_text(STRANGERS)
    monkeypatch.setenv("PERFKIT_PATH", str(tmp_path))
    found = remedies(attributed(compute=10.0), judged("compute_bound"))
    assert found[0].name == "coffee"
    assert found[0].saves_s is not None and found[0].saves_s.value == pytest.approx(5.0)
    assert found[0].command is None
    # nothing was said of the verdicts that it answers
    assert found[0].answers == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("value = 1", "no function propose"),
        ("def propose(evidence, judgement): return 1", "should return a Proposal or None, not 1"),
        ("def propose(evidence, judgement): raise KeyError('x')", "failed: KeyError"),
    ],
)
def test_a_strangers_mistake_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    """As a usage error, with the remedy's name."""
    (tmp_path / "remedies").mkdir()
    (tmp_path / "remedies" / "mistaken.py").write_text(text)
    monkeypatch.setenv("PERFKIT_PATH", str(tmp_path))
    with pytest.raises(UsageError, match=message) as caught:
        remedies(attributed(compute=10.0), judged("compute_bound"))
    assert "mistaken" in caught.value.message


def test_an_unknown_remedy() -> None:
    """Is called by the singular of its kind."""
    with pytest.raises(UsageError, match="unknown remedy 'num_worker'"):
        discovery.load("remedies", "num_worker")
