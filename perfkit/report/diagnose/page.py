"""A diagnosis as sections of a Markdown report: the same as on a terminal, with lines to paste."""

from __future__ import annotations

import html
from collections.abc import Sequence

from perfkit import units
from perfkit.document import Diagnosis, Document, Remedy
from perfkit.report.columns import plain
from perfkit.report.diagnose import figures, gains, sentences
from perfkit.report.diagnose.facts import facts
from perfkit.report.diagnose.kinds import MEANINGS, marks, named, primary_of
from perfkit.report.diagnose.tree import Branch, tree
from perfkit.report.escaping import block, code, table, text


def box(document: Document) -> str:
    """Return verdict, why and next as a list; commands in code spans."""
    found = sentences.box(document)
    return "\n".join(f"- **{label}**: {_said(said)}" for label, said in found)


def sections(document: Document, plots: Sequence[str] = ()) -> list[str]:
    """Return the epoch, the verdicts, the remedies and what else is known, each below its heading.

    Args:
        plots: Markdown to show below the epoch.
    """
    diagnosis = document.diagnosis
    assert diagnosis is not None
    epoch = _epoch(document, diagnosis)
    verdicts = _verdicts(document, diagnosis)
    remedies = _remedies(document, diagnosis)
    known = [f"- **{text(label)}**: {text(said)}" for label, said in facts(document)]
    return [
        *(["### Where the epoch goes", *epoch] if epoch else []),
        *plots,
        *(["### What holds it back", *verdicts] if verdicts else []),
        *(["### What to try", *remedies] if remedies else []),
        *(["### What else is known", "\n".join(known)] if known else []),
    ]


def gains_table(document: Document, remedies: Sequence[Remedy]) -> str:
    """Return the remedies with their gains as a table; a column that none has a value for is left out."""
    unit = figures.epoch_unit(document)
    found = [gains.gain(one, unit) for one in remedies]
    columns = [
        ("Remedy", [code(one.name) for one in found]),
        ("Predicted speed-up of the epoch", [text(one.predicted) for one in found]),
        ("Measured", [_marked(one.measured) for one in found]),
        ("Saves per epoch", [text(one.saves) for one in found]),
        ("Known by", [text(one.basis) for one in found]),
    ]
    shown = [one for one in columns if any(cell != units.MISSING for cell in one[1])]
    cells = zip(*(column for _, column in shown), strict=True)
    return table([name for name, _ in shown], [False] * len(shown), cells)


def _epoch(document: Document, diagnosis: Diagnosis) -> list[str]:
    branches = tree(document)
    if not branches:
        return []
    total_s = branches[0].seconds or 0.0
    scale, unit = figures.epoch_unit(document)
    primary = primary_of(diagnosis)
    mark = "" if primary is None else f" ◄ {code(primary.kind)}"
    rows = [
        (
            f"{_indent(branch)}{text(branch.words)}{mark if branch.decided else ''}",
            text(figures.fixed(branch.seconds, total_s, scale)),
            text(figures.part_of_epoch(branch.seconds, total_s).removesuffix(" %")),
            text(_meaning(branch)),
        )
        for branch in branches
    ]
    titles = ("Part", f"Time ({unit} an epoch)", "Share (%)", "What it is")
    return [table(titles, (False, True, True, False), rows)]


def _indent(branch: Branch) -> str:
    # a space at the beginning of a cell is taken off, these are not
    return "" if branch.depth < 2 else "&emsp;"


def _meaning(branch: Branch) -> str:
    if branch.depth == 0:
        return "its wall clock, one-time costs spread over the epochs"
    return MEANINGS.get(branch.name, "")


def _verdicts(document: Document, diagnosis: Diagnosis) -> list[str]:
    """A table of all verdicts, and below it what witnesses say of each."""
    if not diagnosis.verdicts:
        return []
    unit = figures.epoch_unit(document)
    rows = [
        (
            code(named(one)),
            text(marks(one)),
            text(figures.share(one.share)),
            text(f"{units.significant(one.seconds_per_epoch / unit[0])} {unit[1]}"),
            units.MISSING
            if one.removable_s is None
            else text(figures.seconds(one.removable_s, unit)),
        )
        for one in diagnosis.verdicts
    ]
    titles = (
        "Verdict",
        "Weight",
        "Share of the epoch",
        "Costs",
        "An epoch without it is shorter by",
    )
    told = [
        "\n".join([f"{code(named(one))}:\n", *(f"- {text(said)}" for said in one.evidence)])
        for one in diagnosis.verdicts
        if one.evidence
    ]
    return [table(titles, (False, False, True, True, True), rows), *told]


def _remedies(document: Document, diagnosis: Diagnosis) -> list[str]:
    if not diagnosis.remedies:
        return []
    kept, changing = gains.ordered(diagnosis.remedies)
    found = []
    if kept:
        found += [gains_table(document, kept), *filter(None, map(_details, kept))]
    if changing:
        found += [
            "#### These change what is trained",
            gains_table(document, changing),
            *filter(None, map(_details, changing)),
        ]
    found += map(text, gains.epochs(document, figures.epoch_unit(document)))
    explained = gains.explained(diagnosis.remedies)
    return [*found, *([text(f"{explained[0].upper()}{explained[1:]}.")] if explained else [])]


def _details(remedy: Remedy) -> str:
    """Why, risk, the command and the lines to paste, folded; empty where there is none of them."""
    parts = [
        text(remedy.why) if remedy.why else "",
        f"Risk: {text(remedy.risk)}" if remedy.risk else "",
        block(remedy.command, "sh") if remedy.command else "",
        block(remedy.snippet, gains.language(remedy.snippet)) if remedy.snippet else "",
    ]
    told = [part for part in parts if part]
    if not told:
        return ""
    name = html.escape(gains.name_of(remedy))
    summary = f"<details>\n<summary><code>{name}</code>: {_inside(remedy)}</summary>"
    return "\n\n".join([summary, *told, "</details>"])


def _inside(remedy: Remedy) -> str:
    """What a fold holds, in words."""
    held = {
        "why": remedy.why,
        "its risk": remedy.risk,
        "how to try it": remedy.command,
        "lines to paste": remedy.snippet,
    }
    return ", ".join(name for name, there in held.items() if there)


def _marked(measured: str) -> str:
    """A miss is not overlooked."""
    value, comma, judged = measured.partition(f", {gains.MISSED}")
    return f"{text(value)}, **{gains.MISSED}**{text(judged)}" if comma else text(measured)


def _said(said: str) -> str:
    """Text in which a command that ends it is a code span."""
    said = plain(said)
    if said.startswith("perfkit "):
        return code(said)
    before, colon, command = said.partition(": perfkit ")
    return f"{text(before)}: {code(f'perfkit {command}')}" if colon else text(said)
