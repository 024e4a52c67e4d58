"""What `perfkit compare` found, as text for a terminal: a table where it fits, else a record per row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console, RenderableType
from rich.text import Text

from perfkit import units
from perfkit.comparison import By, ComparedRow, Comparison, Side, would_tell
from perfkit.report.columns import plain
from perfkit.report.comparison_table import columns, ratio, records, table, time_of
from perfkit.report.terminal import MOST_TEXT_WIDTH, fits, labelled, wrapped
from perfkit.report.words import in_words
from perfkit.stats import Outcome

_UNSHARED = {
    "attached": "a script that was watched has none",
    "one_row": "one of them has a single row",
    "other_reference": "their references differ",
    "other_settings": "their settings differ",
    "reference_failed": "it was not measured in both",
}
"""Why two runs share no reference, in words."""
_NO_EPOCHS = {
    "first_epoch_old": "OLD has not seen enough of a second epoch",
    "first_epoch_new": "NEW has not seen enough of a second epoch",
    "first_epoch_both": "neither has seen enough of a second epoch",
    "other_length": "their epochs are of different length",
}
"""Why epochs of two runs are not compared, in words."""
_OF_FIRST = (
    "of the first epoch after its warm-up; what OLD read from the disk NEW may have found in memory"
)
_LOST: dict[By, str] = {
    "epoch": "No epoch could be forecast",
    "step": "Too few steps to compare",
    "sample": "No time of a sample is known",
}


def parts(comparison: Comparison, console: Console) -> list[RenderableType]:
    """Return what to print, from the table to the warnings."""
    shown = columns(comparison)
    wide = table(shown, comparison.compared)
    is_wide = fits(wide, console)
    width = min(console.width, MOST_TEXT_WIDTH)
    noted = [
        (plain(row.key), plain(note.text)) for row in comparison.compared for note in row.notes
    ]
    found: list[RenderableType] = [
        wide if is_wide else records(shown, comparison.compared),
        Text(),
        wrapped(meaning(comparison), width, style="bold"),
    ]
    for pairs in (noted, remarks(comparison)):
        if pairs:
            found += [Text(), labelled(pairs, console.width)]
    return found


def meaning(comparison: Comparison) -> str:
    """Return what became of the rows, in a sentence or a few."""
    if comparison.same_study:
        return "Both are one and the same study: every row is the same."
    rows = comparison.compared
    others = [row for row in rows if row.key != comparison.reference]
    said = [
        f"{lead}: {', '.join(_named(row) for row in found)}."
        for outcome, lead in _LEADS
        if (found := [r for r in others if r.judged and r.judged.outcome == outcome])
    ]
    said += [_reference(row) for row in rows if row.key == comparison.reference]
    for outcome, lead in (("more", "More memory"), ("less", "Less memory")):
        found = [row for row in rows if row.memory_outcome == outcome]
        if found:
            listed = ", ".join(f"{plain(r.key)} {units.ratio(r.memory_ratio)}" for r in found)
            said.append(f"{lead}: {listed}.")
    lost = [row for row in rows if row.fails_now]
    if lost:
        listed = ", ".join(f"{plain(r.key)} ({r.new.status})" for r in lost if r.new)
        said.append(f"Failed in NEW: {listed}.")
    by = comparison.by
    for lead, names in (
        (f"{_LOST[by]} in OLD", _without_time(rows, by, lambda row: row.old)),
        (f"{_LOST[by]} in NEW", _without_time(rows, by, lambda row: row.new)),
        ("Only in OLD", [plain(row.key) for row in rows if row.new is None]),
        ("Only in NEW", [plain(row.key) for row in rows if row.old is None]),
    ):
        if names:
            said.append(f"{lead}: {', '.join(names)}.")
    if said and not comparison.same_study and (why := comparison.unavailable.get("epoch_time_s")):
        said.append(f"Compared by {by}: {_NO_EPOCHS.get(why, in_words(why))}.")
    return " ".join(said) or "Nothing could be compared: no row was measured in both."


def remarks(comparison: Comparison) -> list[tuple[str, str]]:
    """Return how it was compared, what differs, and which gates tripped, each with its label."""
    old, new = comparison.old, comparison.new
    found = [("Gate", f"{note.code} tripped by {plain(note.text)}") for note in comparison.tripped]
    if comparison.gates and not comparison.tripped:
        found.append(("Gate", f"none tripped of {', '.join(comparison.gates)}"))
    found += [("Gate", f"{one.code} is open for {plain(one.text)}") for one in comparison.undecided]
    found += [("Failed", text) for row in comparison.compared if (text := _failure(row))]
    found += [("Warning", plain(note.text)) for note in comparison.warnings]
    unshared = comparison.unavailable.get("against_reference")
    if unshared:
        why = _UNSHARED.get(unshared, plain(unshared).replace("_", " "))
        text = (
            f"the runs share no reference ({why}): whatever befell the machine between them is in"
            " every ratio"
        )
        found.append(("Warning", text))
    return [
        *found,
        ("Old", f"{plain(old.name)}, {plain(old.created)}: {plain(old.command)}"),
        ("New", f"{plain(new.name)}, {plain(new.created)}: {plain(new.command)}"),
        ("Compared", _method(comparison)),
    ]


_LEADS: tuple[tuple[Outcome, str], ...] = (
    ("slower", "Slower"),
    ("faster", "Faster"),
    ("same", "The same"),
    ("inconclusive", "Not settled"),
)


def _method(comparison: Comparison) -> str:
    if comparison.same_study:
        return "nothing to compare"
    of = "" if comparison.by == "epoch" else f", time of a {comparison.by}"
    text = f"old ÷ new{of}, above 1 is faster; {comparison.method.get('interval', '')}"
    counted = [
        f"{row.old.steps} of OLD and {row.new.steps} of NEW"
        for row in comparison.compared
        if row.old and row.new and row.old.steps and row.new.steps
    ]
    if counted:
        text += f"; steps: {', '.join(counted)}"
    if comparison.method.get("part") == "first_epoch":
        text += f", {_OF_FIRST}"
    if comparison.reference is None:
        return plain(text)
    return plain(
        f"{text}; to reference: the speed-ups over {comparison.reference} that each run measured in"
        " turns, so that what befell the machine between the runs cancels"
    )


def _reference(row: ComparedRow) -> str:
    judged = row.speedup
    assert judged is not None
    moved = {
        "faster": "is faster now",
        "slower": "is slower now",
        "same": "has not moved",
        "inconclusive": "may have moved",
    }
    return f"The reference {plain(row.key)} itself {moved[judged.outcome]}: {ratio(judged)}."


def _without_time(
    rows: Sequence[ComparedRow], by: By, side: Callable[[ComparedRow], Side | None]
) -> list[str]:
    """The rows that were measured, but not what is compared: of an epoch a part was lost."""
    return [
        plain(row.key)
        for row in rows
        if (one := side(row)) is not None and one.status == "ok" and time_of(one, by) is None
    ]


def _failure(row: ComparedRow) -> str:
    if not row.fails_now or row.new is None:
        return ""
    reason = plain(row.new.message or "no reason was given")
    return f"{plain(row.key)} in NEW: {row.new.status}: {reason}"


def _named(row: ComparedRow) -> str:
    assert row.judged is not None
    said = f"{plain(row.key)} {ratio(row.judged)}"
    more = would_tell(row.more_steps, row.more_generations)
    return f"{said}, {more}" if more and row.judged.outcome == "inconclusive" else said
