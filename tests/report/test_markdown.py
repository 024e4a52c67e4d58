"""Markdown of a run: golden text, and what must hold for any Document."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from golden_files import golden
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_documents import (
    BATCHES,
    DEVICE_CLOCK,
    DOCUMENTS,
    FOUR_ROWS,
    INCONCLUSIVE,
    INTERRUPTED,
    LOST_PART,
    ON_GPU,
    TWO_ROWS,
    document,
    failed,
    reference,
)
from report_study import renamed

from perfkit.document import Document, Note
from perfkit.report import markdown, summary
from perfkit.report.columns import columns
from perfkit.report.sentences import meaning
from perfkit.report.stored import Picture, Pictures, StoredAnswer

GOLDEN = Path(__file__).parent / "golden"
RENDERER = MarkdownIt("commonmark").enable("table")
FORMATS = {"md": markdown.report, "summary.md": summary.report}
GOLDEN_NAMES = [
    *(f"{name}.md" for name in ("two_rows", "four_rows", "interrupted", "on_gpu", "one_row")),
    *(f"{name}.md" for name in ("batches", "device_clock", "lost_part")),
    *(f"{name}.summary.md" for name in ("inconclusive", "four_rows", "lost_part")),
]


def run(shown: Document, name: str = "20260101T000000Z-bench") -> StoredAnswer:
    return StoredAnswer(name=name, document=shown)


def tables(text: str) -> list[list[str]]:
    """The lines of every table."""
    return [block.strip("\n").split("\n") for block in re.findall(r"(?:^\|.*\n)+", text, re.M)]


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_golden(name: str) -> None:
    """The exact text; run with PERFKIT_WRITE_GOLDEN=1 to accept a change, and read the diff."""
    document_name, _, format = name.partition(".")
    text = FORMATS[format]([run(DOCUMENTS[document_name])])
    assert text == golden(GOLDEN / name, text)


@pytest.mark.parametrize("shown", DOCUMENTS.values(), ids=DOCUMENTS)
def test_nothing_of_the_answer_is_lost(shown: Document) -> None:
    """The sentence, every row with its cells, every message, note and warning, and the command are there."""
    html = RENDERER.render(markdown.report([run(shown)]))
    words = " ".join(re.sub("<[^>]*>", " ", html).split())
    wanted = [meaning(shown), shown.command, *(row.key for row in shown.rows)]
    wanted += [note.text for row in shown.rows for note in row.notes]
    wanted += [row.message.split("\n")[0] for row in shown.rows if row.message]
    wanted += [note.text for note in shown.warnings]
    wanted += [cell for column in columns(shown.rows)[1:] for cell in column.cells]
    for said in wanted:
        assert " ".join(said.split()) in words


@pytest.mark.parametrize("render", FORMATS.values(), ids=FORMATS)
def test_the_answer_comes_first(render) -> None:
    """The first paragraph below the heading is the answer."""
    lines = render([run(TWO_ROWS)]).split("\n")
    assert lines[0] == "## perfkit bench"
    assert lines[2].startswith("**amp trains an epoch 1.34× as fast as fp32 [1.29–1.40]")


@given(
    keys=st.lists(st.text(min_size=1, max_size=30), min_size=4, max_size=4, unique=True),
    message=st.text(max_size=30),
)
def test_no_name_breaks_a_table(keys: list[str], message: str) -> None:
    """Whatever rows are called, every line of a table has as many cells as its heading."""
    shown = renamed(FOUR_ROWS, keys)
    noted = replace(shown.rows[3], notes=(Note(code=message, text=message),))
    shown = replace(shown, rows=(*shown.rows[:3], noted))
    for render in FORMATS.values():
        text = render([run(shown, name=keys[0])])
        found = tables(text)
        assert len(found[0]) == 2 + 4
        for lines in found:
            assert len({line.count("|") for line in lines}) == 1
        html = RENDERER.render(text)
        assert html.count("<table>") == len(found)
        assert html.count("<h2>") == 1


def test_text_of_users_is_no_html() -> None:
    """A tag in a name, a message, a warning, the environment or a setting is shown, not obeyed."""
    tag = "<img src=x onerror=alert(1)>"
    shown = document(
        reference(
            f"{tag}/fp32", effective={tag: tag}, epoch_parts_s={tag: 1.0}, phases_s={tag: 1.0}
        ),
        failed(f"{tag}|/amp", "error", tag),
        base={tag: tag},
        environment={"cpu_model": tag, "os": tag, "variables": {tag: tag}},
        warnings=(Note(code="x", text=tag),),
        unavailable={tag: tag},
        command=f"perfkit bench --arch '{tag}'",
        created=tag,
        kind=tag,
    )
    for render in FORMATS.values():
        html = RENDERER.render(render([run(shown, name=tag)] * 2))
        assert "<img" not in html
        assert "onerror=alert(1)&gt;" in html or "&#62;" in html


def test_failed_rows_say_why() -> None:
    """A row that failed has its status in the table and its message below it."""
    text = markdown.report([run(FOUR_ROWS)])
    assert re.search(r"\| `baseline/tf32` .* \| unsupported +\|$", text, re.M)
    assert "- `baseline/tf32`: unsupported: TF32 needs a CUDA device" in text
    assert "out of memory. Tried to allocate 12.00 GiB (device has 80 GiB)" in text


def test_an_interrupted_run_says_so_first() -> None:
    """What was not finished is not taken for an answer."""
    text = markdown.report([run(INTERRUPTED)])
    assert text.split("\n")[2].startswith("**Not complete:")
    assert "perfkit bench --resume latest" in text.split("\n")[2]


def test_what_is_unavailable_has_its_reason() -> None:
    """Missing values are a dash in the table, with the reason in words below."""
    text = markdown.report([run(TWO_ROWS)])
    assert "- **Not available**: MFU: no published peak is known for this device" in text
    assert "no GPU was in use" in text
    assert "GPU utilisation (" not in text
    lost = markdown.report([run(LOST_PART)])
    row = next(line for line in lost.split("\n") if line.startswith("| `convnext/amp`"))
    assert "|              – |" in row


def test_warnings_are_in_every_format() -> None:
    """A shared machine is told of in the long form and in the short one."""
    for render in FORMATS.values():
        assert "- **Warning**: the machine is shared: 20 of 48 blocks" in render(
            [run(INCONCLUSIVE)]
        )


def test_plots_are_linked_and_those_left_out_are_told() -> None:
    """Images are relative links with a title, a caption and a safe address."""
    picture = Picture(title="Epoch time", caption="a bar each.", file_name="a b-epoch.png", png=b"")
    pictures = Pictures(drawn=(picture,), left_out=(("Step times", "no <records>"),))
    text = markdown.report([run(TWO_ROWS)], [pictures])
    assert "![Epoch time](a%20b-epoch.png)\n\nEpoch time: a bar each." in text
    assert "- **Not available**: plot of step times: no &lt;records&gt;" in text
    assert "### Plots" not in markdown.report([run(TWO_ROWS)])


def test_a_device_adds_the_exposed_wait() -> None:
    """With a device beside the host, what it idled for its batch stands beside the host's phases."""
    first = replace(ON_GPU.rows[0], exposed_wait_s=0.02, phases_clock="host")
    text = markdown.report([run(replace(ON_GPU, rows=(first, *ON_GPU.rows[1:])))])
    assert "| exposed wait (ms) |" in text
    assert "on the host's clock (a call that the device still works on" in text
    assert "exposed wait" not in markdown.report([run(TWO_ROWS)])


def test_phases_say_whose_clock_they_are_on() -> None:
    """The device's where it marked them; beside each row where rows differ; on a CPU there is only one."""
    assert "mean of its phases, on the device's clock (" in markdown.report([run(DEVICE_CLOCK)])
    first, second = DEVICE_CLOCK.rows
    mixed = replace(DEVICE_CLOCK, rows=(first, replace(second, phases_clock="host")))
    text = markdown.report([run(mixed)])
    assert "on the clock that stands beside each row (host's: a call that" in text
    assert re.search(r"\| Configuration +\| clock +\| waiting \(ms\)", text)
    assert re.search(r"\| `convnext/fp32` +\| device \|", text)
    assert re.search(r"\| `convnext/amp\+compile` +\| host +\|", text)
    assert "clock" not in markdown.report([run(BATCHES)])


def test_waiting_and_transfer_stand_apart() -> None:
    """Both have a column and are explained, in the order of a step, beside a row that has them together."""
    text = markdown.report([run(document(TWO_ROWS.rows[0], BATCHES.rows[1]))])
    heads = ("waiting (ms)", "transfer (ms)", "data wait (ms)", "h2d (ms)", "other (ms)")
    (heading,) = [line for line in text.split("\n") if "forward (ms)" in line]
    assert sorted(map(heading.index, heads)) == [heading.index(head) for head in heads]
    assert "Waiting: the batch was not there; transfer: it was there and had to be handed" in text
    assert "data wait: both together, where it is not known" in text
    assert "next batch not ready (% of steps)" in heading
    assert "the batch was not there" not in markdown.report([run(TWO_ROWS)])


def test_a_thread_without_a_core_is_told() -> None:
    """Run delay of one row in a sentence, of several by their names, and of none not at all."""
    alone = replace(BATCHES, rows=BATCHES.rows[:1])
    said = "The trainer's thread was ready to run and had no core for 1.20 ms of a step"
    assert f"\n\n{said}.\n\n" in markdown.report([run(alone)])
    assert f"{said} in `convnext/fp32`, 17.8 ms in `convnext/fp32+num" in markdown.report(
        [run(BATCHES)]
    )
    assert "no core" not in markdown.report([run(TWO_ROWS)])


@pytest.mark.parametrize("reference_too", [False, True])
def test_a_lost_part_is_no_gap_in_the_text(reference_too: bool) -> None:
    """Where no epoch could be forecast, no format shows `None`, and steps are what is compared."""
    first, second = LOST_PART.rows
    if reference_too:
        first = replace(first, epoch_time_s=None, epoch_parts_s={}, speedup=None)
    for render in FORMATS.values():
        text = render([run(replace(LOST_PART, rows=(first, second)))])
        assert "None" not in text and "(ok)" not in text
        assert "steps: 1.34× [1.29–1.40] faster" in text
        assert "- `convnext/amp`: evaluation was lost" in text


def test_starting_has_a_table_of_its_own() -> None:
    """One-time costs; the first step is named by its caches where both are known."""
    text = markdown.report([run(DEVICE_CLOCK)])
    heads = "| first batch (s) | first step, cold caches (s) | first step, warm (s) |"
    assert heads in text
    assert "| first batch (ms) | first step (ms) |" in markdown.report([run(BATCHES)])
    assert "when training starts" not in markdown.report([run(TWO_ROWS)])


def test_settings_read_back_are_said_once_for_rows_that_agree() -> None:
    """Rows whose settings torch told alike share a line."""
    rows = [replace(row, effective={"matmul_precision": "ieee"}) for row in TWO_ROWS.rows]
    text = markdown.report([run(replace(TWO_ROWS, rows=tuple(rows)))])
    assert text.count("**Read back from torch**") == 1
    assert "`convnext/fp32`, `convnext/amp`: matmul precision ieee" in text


def test_several_runs_have_a_section_each() -> None:
    """Every section has its run's name, its own table and its own plots."""
    runs = [run(TWO_ROWS, "one"), run(FOUR_ROWS, "two|2")]
    drawn = [
        Pictures(drawn=(Picture(title="Epoch", caption="", file_name=f"{n}.png", png=b""),))
        for n in (1, 2)
    ]
    for text in (markdown.report(runs, drawn), summary.report(runs)):
        headings = [line for line in text.split("\n") if line.startswith("## ")]
        assert headings == ["## perfkit bench: `one`", "## perfkit bench: <code>two&#124;2</code>"]
    text = markdown.report(runs, drawn)
    assert text.index("(1.png)") < text.index("two&#124;2") < text.index("(2.png)")


def test_a_row_alone_is_a_report() -> None:
    """One row needs nothing to be held against."""
    text = markdown.report([run(DOCUMENTS["one_row"])])
    assert "trains an epoch in 28.1 ± 0.5 s" in text
    assert len(tables(text)[0]) == 3


def test_the_summary_is_short() -> None:
    """A CI page gets the answer and the table: no plots, no sections, failed rows with their reason."""
    text = summary.report([run(FOUR_ROWS)])
    assert "###" not in text and "![" not in text
    assert "- `baseline/tf32`: unsupported: TF32 needs" in text
    assert len(text.split("\n")) < 20
