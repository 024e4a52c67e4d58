"""A diagnosis on a terminal: headline, verdict, the epoch as a tree, witnesses, remedies, and the rest."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from perfkit import units
from perfkit.document import Document, Remedy, Severity
from perfkit.report.columns import plain
from perfkit.report.diagnose import figures, gains, sentences
from perfkit.report.diagnose.facts import facts
from perfkit.report.diagnose.gains import Gain
from perfkit.report.diagnose.kinds import marks, named, primary_of
from perfkit.report.diagnose.tree import Branch, tree
from perfkit.report.remarks import notes, remarks
from perfkit.report.sentences import meaning
from perfkit.report.terminal import MOST_TEXT_WIDTH, labelled, wrapped

_MOST_BAR, _LEAST_BAR = 30, 8
_GAP = 2
_STYLES: dict[Severity, str] = {"high": "red", "moderate": "yellow", "low": "cyan"}
_TOLD = 3
"""Remedies of a kind that are told with why, risk and command; the others with their gain."""


def parts(document: Document, console: Console) -> list[RenderableType]:
    """Return what to print, from the headline to what was not measured."""
    width = min(console.width, MOST_TEXT_WIDTH)
    diagnosis = document.diagnosis
    assert diagnosis is not None
    found: list[RenderableType] = [
        wrapped(meaning(document), width, style="bold"),
        Text(),
        labelled(sentences.box(document), console.width),
    ]
    sections = (
        ("", _tree(document, console.width)),
        ("Verdicts", _verdicts(document, width)),
        *_remedies(document, console.width),
    )
    for heading, lines in sections:
        if lines:
            found += [Text(), *([Text(heading, style="bold")] if heading else []), *lines]
    below = [(remark.label, remark.text) for remark in remarks(document)]
    noted = [(plain(row.key), text) for row in document.rows for text in notes(row)]
    for pairs in (noted, [*_row(document), *facts(document), *below]):
        if pairs:
            found += [Text(), labelled(pairs, console.width)]
    return found


def _tree(document: Document, width: int) -> list[RenderableType]:
    """The tree with seconds, shares and bars as wide as there is room; without bars where there is none."""
    branches = tree(document)
    if not branches:
        return []
    diagnosis = document.diagnosis
    primary = None if diagnosis is None else primary_of(diagnosis)
    total_s = branches[0].seconds or 0.0
    scale, unit = figures.epoch_unit(document)
    cells = [
        (
            f"{branch.lead}{branch.words}" if branch.depth else "The epoch",
            _seconds(branch.seconds, total_s, scale, unit),
            figures.part_of_epoch(branch.seconds, total_s) if branch.depth else "",
        )
        for branch in branches
    ]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(3)]
    taken = sum(widths) + 3 * _GAP
    mark = "◄" if primary is None else f"◄ {plain(primary.kind)}"
    if width - taken - _LEAST_BAR - 1 < cell_len(mark):
        mark = "◄"
    room = min(_MOST_BAR, width - taken - 1 - cell_len(mark))
    lines: list[RenderableType] = []
    for branch, (name, seconds, share) in zip(branches, cells, strict=True):
        line = Text(no_wrap=True, overflow="fold", style="" if branch.depth else "bold")
        line.append(name + " " * (widths[0] - cell_len(name) + _GAP))
        line.append(f"{seconds:>{widths[1]}}{'':{_GAP}}{share:>{widths[2]}}{'':{_GAP}}")
        bar = _bar(branch, total_s, room) if room >= _LEAST_BAR else ""
        line.append(bar, style="red" if branch.decided else "dim")
        if branch.decided:
            line.append(f" {mark}" if bar else mark, style="bold")
        line.rstrip()
        lines.append(line)
    return lines


def _seconds(value: float | None, total_s: float, scale: float, unit: str) -> str:
    return units.MISSING if value is None else f"{figures.fixed(value, total_s, scale)} {unit}"


def _bar(branch: Branch, total_s: float, cells: int) -> str:
    """A bar of its share, in half cells; steps and the epoch itself have none: their parts do."""
    if branch.seconds is None or branch.seconds <= 0 or branch.name in ("epoch", "steps"):
        return ""
    halves = round(2 * cells * min(1.0, branch.seconds / total_s))
    return "█" * (halves // 2) + "▌" * (halves % 2)


def _verdicts(document: Document, width: int) -> list[RenderableType]:
    diagnosis = document.diagnosis
    assert diagnosis is not None
    lines: list[RenderableType] = []
    for verdict in diagnosis.verdicts:
        lines.append(
            wrapped(f"{named(verdict)}: {marks(verdict)}", width, style=_STYLES[verdict.severity])
        )
        lines.append(_indented(sentences.weight(verdict, document), width, 2))
        lines += [_witness(said, width) for said in verdict.evidence]
    return lines


def _witness(said: str, width: int) -> RenderableType:
    text = wrapped(plain(said), width - 4)
    lines = text.plain.split("\n")
    return Text("\n".join([f"  • {lines[0]}", *(f"    {line}" for line in lines[1:])]))


def _remedies(document: Document, room: int) -> list[tuple[str, list[RenderableType]]]:
    diagnosis = document.diagnosis
    assert diagnosis is not None
    kept, changing = gains.ordered(diagnosis.remedies)
    unit = figures.epoch_unit(document)
    sections = [
        ("Remedies", _listed(kept, unit, room)),
        ("Remedies that change what is trained", _listed(changing, unit, room)),
    ]
    width = min(room, MOST_TEXT_WIDTH)
    footnotes = [
        wrapped(text, width, style="dim")
        for text in [*gains.epochs(document, unit), *_footnotes(kept, changing)]
    ]
    for _, lines in [one for one in sections if one[1]][-1:]:
        lines += footnotes
    return sections


def _footnotes(kept: Sequence[Remedy], changing: Sequence[Remedy]) -> list[str]:
    explained = gains.explained([*kept, *changing])
    said = [f"{explained}."] if explained else []
    told = [*kept[:_TOLD], *changing[:_TOLD]]
    rest = [*kept[_TOLD:], *changing[_TOLD:]]
    if any(r.snippet and r.command for r in told) or any(
        r.why or r.risk or r.snippet for r in rest
    ):
        said.append("Why, risk and lines to paste of every remedy: perfkit report latest")
    return [text[:1].upper() + text[1:] for text in said]


def _listed(remedies: Sequence[Remedy], unit: units.Unit, room: int) -> list[RenderableType]:
    """A line per remedy, in columns where they fit; below the first ones why, risk and how to try it."""
    if not remedies:
        return []
    lines: list[RenderableType] = []
    found = [gains.gain(one, unit) for one in remedies]
    columns = _columns(found)
    widths = [max(map(cell_len, column)) for column in columns]
    in_columns = sum(widths) + _GAP * (len(widths) - 1) <= room
    width = min(room, MOST_TEXT_WIDTH)
    if in_columns:
        lines.append(Text(_line([column[0] for column in columns], widths), style="dim"))
    for number, remedy in enumerate(remedies):
        cells = [column[number + 1] for column in columns]
        if in_columns:
            line = Text(_line(cells, widths))
            line.stylize("bold", 0, len(cells[0]))
            line.highlight_words([gains.MISSED], style="red")
            lines.append(line)
        else:
            lines.append(wrapped(cells[0], width, style="bold"))
            lines.append(_indented(_beneath(columns, cells), width, 2))
        if number < _TOLD:
            lines += _details(remedy, width)
    return lines


def _columns(found: Sequence[Gain]) -> list[list[str]]:
    """The columns, each with its heading first; one that no remedy has a value for is left out."""
    columns = [
        ["", *(one.name for one in found)],
        ["predicted", *(one.predicted for one in found)],
        ["measured", *(one.measured for one in found)],
        ["saves per epoch", *(one.saves for one in found)],
        ["known by", *(one.basis for one in found)],
    ]
    return [column for column in columns if any(cell != units.MISSING for cell in column[1:])]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)
    )
    return (" " * _GAP).join(padded).rstrip()


def _beneath(columns: Sequence[Sequence[str]], cells: Sequence[str]) -> str:
    """What would stand in columns, one after another; a dash is left out, and that a bound is one."""
    told = []
    for column, cell in list(zip(columns, cells, strict=True))[1:]:
        if cell == units.MISSING or (column[0] == "known by" and cell == gains.BASES["bound"]):
            continue
        lead = {"known by": "", "saves per epoch": "saves "}.get(column[0], f"{column[0]} ")
        tail = " an epoch" if column[0] == "saves per epoch" else ""
        told.append(f"{lead}{cell}{tail}")
    return ", ".join(told) or "what it gains is not known"


def _details(remedy: Remedy, width: int) -> list[RenderableType]:
    lines: list[RenderableType] = []
    if remedy.why:
        lines.append(_indented(plain(remedy.why), width, 2))
    if remedy.risk:
        lines.append(_indented(f"Risk: {plain(remedy.risk)}", width, 2))
    if remedy.command and not gains.is_confirmed_by_hand(remedy):
        lines.append(_indented(f"Try: {plain(remedy.command)}", width, 2))
    elif remedy.snippet:
        shown = [_code(line) for line in remedy.snippet.strip("\n").split("\n")]
        lines.append(Padding(Text("\n".join(shown), overflow="fold"), (0, 0, 0, 4)))
    return lines


def _code(line: str) -> str:
    """A line to paste keeps its spaces and loses what a terminal would act upon."""
    return "".join(c if c.isprintable() else " " for c in line.expandtabs(4))


def _indented(said: str, width: int, by: int) -> RenderableType:
    return Padding(wrapped(said, width - by), (0, 0, 0, by))


def _row(document: Document) -> list[tuple[str, str]]:
    """What was diagnosed, in figures."""
    return [("Training", said) for said in map(sentences.training, document.rows) if said]
