"""Settings that slow a training, as findings: what they say, and where it is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from attached_folders import Script, answer, epochs

from perfkit import documentfile as documents
from perfkit.report import console
from perfkit.report.markdown import report
from perfkit.report.stored import StoredAnswer
from perfkit.study.attached.settings import KIND, SETTINGS


def told(code: str, **value: object) -> Script:
    script = Script()
    script.event("fact", code=code, value=value, text="this was seen")
    return epochs(script, 3)


@pytest.mark.parametrize("code", sorted(SETTINGS))
def test_a_setting_is_a_finding_and_no_verdict(tmp_path: Path, code: str) -> None:
    """It has a severity, its evidence and lines to change; what it costs is not known."""
    with_it, without = (
        answer(tmp_path / name, script)
        for name, script in (("with", told(code)), ("without", told("another")))
    )
    (finding,) = with_it.findings
    assert (finding.kind, finding.stage, finding.share) == (KIND, code, None)
    assert finding.message == "This was seen."
    assert finding.evidence == ("read in the process that trains: this was seen",)
    assert "`" in finding.try_next and finding.try_next.endswith(".")
    assert without.findings == ()
    assert with_it.diagnosis is not None and without.diagnosis is not None
    assert with_it.diagnosis.primary == without.diagnosis.primary
    assert [one.kind for one in with_it.diagnosis.verdicts] == [
        one.kind for one in without.diagnosis.verdicts
    ]
    assert code not in [note.code for row in with_it.rows for note in row.notes]


def test_findings_are_in_every_report(tmp_path: Path) -> None:
    """On the console, in Markdown, and in the JSON, which reads back."""
    document = answer(tmp_path, told("denormals"))
    assert documents.loads(documents.dumps(document)) == document
    said = " ".join(console.render(document, width=100, color=False).split())
    line = "torch.set_flush_denormal(True)"
    assert "This was seen." in said and line in said
    assert line in report([StoredAnswer(name="1-run", document=document, study=None)])


def test_the_gravest_comes_first_with_the_line_of_its_loader(tmp_path: Path) -> None:
    """A stream that every worker gives whole is about one loader."""
    script = Script()
    script.event(
        "fact", code="threads_over_cores", value={"threads": 8}, text="8 threads share 4 cores"
    )
    script.loader(num_workers=2, iterable=True, sharded=False, batches=None, samples=None)
    script.event("fact", code="stream_per_worker", value={"loader": 0}, text="each reads all")
    first, second = answer(tmp_path, epochs(script, 3, samples=-1)).findings
    assert (first.stage, first.severity) == ("stream_per_worker", "high")
    assert first.message == "Each reads all (train.py:31)."
    assert (second.stage, second.severity) == ("threads_over_cores", "low")
