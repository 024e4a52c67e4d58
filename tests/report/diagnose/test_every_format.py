"""Diagnoses in every format: golden text, and what must hold for any of them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from golden_files import golden
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_diagnoses import DECODE, DIAGNOSES, NAIVE, UNFINISHED, VERIFIED
from stored_values import diagnoses
from stored_values import documents as any_document

from perfkit.document import Diagnosis, Document, Note, Remedy
from perfkit.report import console, csvfile, markdown, summary
from perfkit.report.diagnose.sentences import box
from perfkit.report.sentences import meaning
from perfkit.report.stored import Picture, Pictures, StoredAnswer

GOLDEN = Path(__file__).parents[1] / "golden" / "diagnose"
RENDERER = MarkdownIt("commonmark").enable("table")


def run(shown: Document) -> StoredAnswer:
    return StoredAnswer(name="20260101T000000Z-diagnose", document=shown)


def on_screen(width: int) -> Callable[[Document], str]:
    return lambda shown: console.render(shown, width=width, color=False)


FORMATS: dict[str, Callable[[Document], str]] = {
    "txt": on_screen(120),
    "60.txt": on_screen(60),
    "md": lambda shown: markdown.report([run(shown)]),
    "summary.md": lambda shown: summary.report([run(shown)]),
}
GOLDEN_NAMES = [
    *(f"{name}.txt" for name in DIAGNOSES),
    *(f"{name}.md" for name in DIAGNOSES),
    *(f"{name}.60.txt" for name in ("decode", "contended", "undecided", "naive", "verified")),
    *(f"{name}.summary.md" for name in ("verified", "undecided")),
]


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_golden(name: str) -> None:
    """The exact text; run with PERFKIT_WRITE_GOLDEN=1 to accept a change, and read the diff."""
    shown, _, form = name.partition(".")
    text = FORMATS[form](DIAGNOSES[shown])
    assert text == golden(GOLDEN / name, text)


def found(shown: Document) -> Diagnosis:
    assert shown.diagnosis is not None
    return shown.diagnosis


def wanted(shown: Document) -> list[str]:
    """Every sentence that a reader must find, whatever the format."""
    diagnosis = found(shown)
    texts = [meaning(shown), *(said for _, said in box(shown))]
    texts += [said for verdict in diagnosis.verdicts for said in verdict.evidence]
    texts += [note.text for row in shown.rows for note in row.notes]
    texts += [note.text for note in shown.warnings]
    texts += [row.key for row in shown.rows]
    if diagnosis.naive_nvidia_smi is not None:
        texts.append(diagnosis.naive_nvidia_smi.why)
    return texts


def of_remedies(remedies: Sequence[Remedy]) -> list[str]:
    texts = [said for one in remedies for said in (one.why, one.risk, one.command or "") if said]
    return texts + [line for one in remedies for line in one.snippet.split("\n")]


@pytest.mark.parametrize("name", DIAGNOSES)
@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_a_screen_fits_the_width_and_loses_nothing(name: str, width: int) -> None:
    """No line is wider than asked, nothing is cut, no value is called None, every sentence is whole."""
    shown = DIAGNOSES[name]
    text = console.render(shown, width=width, color=False)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text and "None" not in text
    words = " ".join(text.split())
    if width >= 60:
        assert all(" ".join(said.split()) in words for said in wanted(shown))


@pytest.mark.parametrize("name", DIAGNOSES)
def test_markdown_loses_nothing(name: str) -> None:
    """The same sentences, and of every remedy why, risk, command and the lines to paste."""
    shown = DIAGNOSES[name]
    text = markdown.report([run(shown)])
    html = RENDERER.render(text)
    words = " ".join(re.sub("<[^>]*>", " ", html).replace("&quot;", '"').split())
    words = words.replace("&gt;", ">").replace("&lt;", "<").replace(" .", ".")
    for said in (*wanted(shown), *of_remedies(found(shown).remedies), shown.command):
        assert " ".join(said.split()) in words
    assert "None" not in text
    for lines in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({line.count("|") for line in lines.strip("\n").split("\n")}) == 1


def test_markdown_shows_plots_below_the_epoch() -> None:
    """Pictures stand beside what they show."""
    picture = Picture(title="Epoch", caption="one bar.", file_name="e.png", png=b"")
    text = markdown.report([run(DECODE)], [Pictures(drawn=(picture,))])
    places = [text.index(said) for said in ("Where the epoch goes", "](e.png)", "holds it back")]
    assert places == sorted(places)


def test_lines_to_paste_are_code_in_their_language() -> None:
    """Python is Python, what a shell takes is a shell's, and both are folded below the table."""
    text = markdown.report([run(DECODE)])
    assert "```python\nDataLoader(..., num_workers=6, persistent_workers=True)\n```" in text
    assert "```sh\nperfkit bench --num-workers 2 --sweep num_workers=2,6\n```" in text
    assert "```sh\nexport OMP_WAIT_POLICY=passive\n```" in markdown.report(
        [run(DIAGNOSES["contended"])]
    )
    assert text.count("<details>") == text.count("</details>") == 4


def test_what_changes_the_training_stands_apart() -> None:
    """Its heading comes after every remedy that leaves the training as it is."""
    for render, heading in (
        (FORMATS["txt"], "that change what"),
        (FORMATS["md"], "change what is"),
    ):
        text = render(DECODE)
        assert text.index("prefetch_factor=4") < text.index(heading) < text.rindex("bf16")


def test_a_miss_is_a_miss_in_every_format() -> None:
    """What was measured below its prediction is not hidden."""
    for form in ("txt", "60.txt"):
        assert "missed: less than predicted" in " ".join(FORMATS[form](VERIFIED).split())
    for form in ("md", "summary.md"):
        assert "**missed**: less than predicted" in FORMATS[form](VERIFIED)


def test_a_summary_is_short() -> None:
    """A CI page has the answer, verdict, why and next, and the best remedies: no sections, no plots."""
    for shown in DIAGNOSES.values():
        text = summary.report([run(shown)])
        assert "###" not in text and "![" not in text and len(text.split("\n")) < 20


def test_an_unfinished_diagnosis_says_so_first() -> None:
    """What was interrupted is not taken for an answer, and how to go on is told."""
    for render in FORMATS.values():
        words = " ".join(render(UNFINISHED).split())
        assert "Not complete: this is what was measured until it was interrupted." in words[:120]
        assert "perfkit diagnose --resume latest" in words
        assert "where the epoch goes: nothing was measured in this time" in words or (
            render is FORMATS["summary.md"]
        )


class _Ascii(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="ascii")

    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode("ascii")


@pytest.mark.parametrize("name", DIAGNOSES)
def test_ascii_has_plainer_signs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a stream takes only ASCII, tree, bars and mark are drawn with it, and nothing is escaped."""
    monkeypatch.setenv("COLUMNS", "100")
    stream = _Ascii()
    console.show(DIAGNOSES[name], stream)
    text = stream.text()
    assert "\\" not in text and "\x1b" not in text
    if name == "decode":
        assert "|  |- waiting      15.28 s   58 %  #################: < input_bound\n" in text


def test_colour_repeats_what_words_say() -> None:
    """With colour the words are the same."""
    bare = console.render(VERIFIED, width=200, color=False)
    coloured = console.render(VERIFIED, width=200, color=True)
    assert "\x1b[" in coloured
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in stripped.splitlines()] == bare.splitlines()


def test_text_of_users_is_no_html_and_no_markup() -> None:
    """A tag in a verdict, a remedy or a reason is shown, not obeyed; a bracket is no style."""
    tag = "<img src=x onerror=alert(1)> [red]|`"
    diagnosis = found(NAIVE)
    verdict = replace(diagnosis.verdicts[0], kind=tag, stage=tag, flags=(tag,), evidence=(tag, tag))
    remedy = replace(
        diagnosis.remedies[0], name=tag, variant=tag, why=tag, risk=tag, command=tag, snippet=tag
    )
    shown = replace(
        NAIVE,
        diagnosis=replace(
            diagnosis,
            primary=tag,
            verdicts=(verdict,),
            remedies=(remedy, replace(remedy, changes_training=True)),
            breakdown_s={tag: 1.0},
            operators=(replace(diagnosis.operators[0], name=tag, where=tag),),
            inconclusive_because=tag,
            unavailable={tag: tag},
        ),
        warnings=(Note(code="x", text=tag),),
    )
    for render in (FORMATS["md"], FORMATS["summary.md"]):
        html = RENDERER.render(render(shown))
        assert "<img" not in html
        assert "onerror=alert(1)&gt;" in html
    assert "[red]|`" in FORMATS["txt"](shown)


@pytest.mark.parametrize("form", FORMATS)
def test_a_remedy_without_a_figure_leaves_no_empty_sentence(form: str) -> None:
    """How its figure came about is not explained where it has none."""
    remedy = Remedy(name="no_anomaly_mode", basis="bound", why="It is on.", snippet="off()\n")
    shown = replace(DECODE, diagnosis=replace(found(DECODE), remedies=(remedy,)))
    text = FORMATS[form](shown)
    assert "no anomaly mode" in text
    assert [line for line in text.splitlines() if line.strip() == "."] == []


@settings(deadline=None)
@given(any_document, diagnoses, st.integers(40, 130))
def test_any_diagnosis_is_a_report(shown: Document, diagnosis: Diagnosis, width: int) -> None:
    """Whatever texts and numbers it holds, every format comes to its end."""
    shown = replace(shown, kind="diagnose", rows=shown.rows[:1], diagnosis=diagnosis)
    text = console.render(shown, width=width, color=False)
    assert "\x1b" not in text and text.endswith("\n")
    assert markdown.report([run(shown)]) and summary.report([run(shown)])
    assert len(csvfile.report([run(shown)]).splitlines()) == 1 + len(shown.rows) or not shown.rows
