"""What the answer means, in sentences: Document → text, without a terminal's width or colour."""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfkit import units
from perfkit.document import Document, Row, Speedup
from perfkit.report.columns import judged_by, on_device, peak_memory_bytes, plain, was_timed
from perfkit.report.commands import with_flag, words
from perfkit.report.diagnose.sentences import headline
from perfkit.stats import MIN_GENERATIONS, SAME_WITHIN

MEMORY_WORTH_SAYING = 0.05
"""Peak memory that differs by less than this from the reference's is left to the table."""
MOST_BUDGET_FACTOR = 10
"""A longer study than this many times the last one is not suggested, however wide the interval."""
_RESUMED = ("bench", "diagnose")
"""Commands that go on with what was interrupted."""


def meaning(document: Document) -> str:
    """Return what the rows say, in a sentence or a few."""
    if not document.rows:
        return "There are no rows."
    said = [_rows(document) if document.diagnosis is None else headline(document)]
    if not document.complete:
        said.insert(0, "Not complete: this is what was measured until it was interrupted.")
        if document.kind in _RESUMED:
            said.append(f"To go on: perfkit {document.kind} --resume latest")
    return " ".join(part for part in said if part)


def short_names(rows: Sequence[Row]) -> dict[str, str]:
    """Return what to call each row by its key: its variant alone where all rows have one arch."""
    one_arch = len({row.arch for row in rows}) == 1 and len(rows) > 1
    return {row.key: plain(row.variant if one_arch else row.key) for row in rows}


def _rows(document: Document) -> str:
    reference, others = document.rows[0], document.rows[1:]
    names = short_names(document.rows)
    if not any(was_timed(row) for row in document.rows):
        return "Nothing was measured: the notes say why."
    if not was_timed(reference):
        return (
            f"The reference {names[reference.key]} was not measured ({reference.status}), so"
            " nothing can be compared with it."
        )
    if not others:
        return _one(reference, names)
    epochs = [row for row in others if row.speedup is not None]
    steps = [row for row in others if row.speedup is None and row.step_speedup is not None]
    if reference.epoch_time_s is None:
        said = [_no_epoch([reference], names)]
    elif len(others) == len(epochs) == 1:
        said = _pair(epochs[0], document, names)
    else:
        said = [] if steps and not epochs else _many(epochs, document, names)
    said += _steps(steps, document, names)
    return " ".join([*said, *_failed(others, names), *_to_conclude([*epochs, *steps], document)])


def _one(row: Row, names: dict[str, str]) -> str:
    rate = f"{units.rate(row.samples_per_sec)} samples/s"
    if row.epoch_time_s is None:
        assert row.step_time_s is not None
        step = units.seconds(row.step_time_s.median)
        return f"{names[row.key]} takes a step in {step} ({rate}). {_no_epoch([row], names)}"
    unit = units.time_unit([row.epoch_time_s.value])
    half = row.epoch_time_s.half_width
    epoch = units.with_error(row.epoch_time_s.value / unit[0], half and half / unit[0])
    return f"{names[row.key]} trains an epoch in {epoch} {unit[1]} ({rate})."


FAR = 2.0
"""A ratio beyond it is told as it was measured, where there are too few generations for an interval."""


def _pair(row: Row, document: Document, names: dict[str, str]) -> list[str]:
    """Two rows that were both measured: one held against the other."""
    reference = document.rows[0]
    this, that = names[row.key], names[reference.key]
    judged = row.speedup
    assert judged is not None
    value, interval = units.ratio_interval(judged.value, judged.low, judged.high)
    times = _instead(row, reference)
    if judged.outcome == "faster":
        said = [f"{this} trains an epoch {value} as fast as {that} {interval}: {times}."]
    elif judged.outcome == "slower":
        said = [
            f"{this} is slower than {that}: {value} as fast {interval}, an epoch takes {times}."
        ]
    elif judged.outcome == "same":
        within = units.share(SAME_WITHIN)
        said = [
            f"{this} and {that} train an epoch in the same time, within {within}: {_shown(row)}."
        ]
    elif judged.low is None and not 1 / FAR <= judged.value <= FAR:
        said = [f"As far as that was measured, {this} is {_shown(row)} as {that}: {times}."]
    else:
        said = [f"Whether {this} is faster than {that} is not settled: {_shown(row)}."]
    return said + _memory(row, document)


def _many(compared: Sequence[Row], document: Document, names: dict[str, str]) -> list[str]:
    reference = document.rows[0]
    by_outcome: dict[str, list[Row]] = {}
    for row in sorted(compared, key=_value, reverse=True):
        assert row.speedup is not None
        by_outcome.setdefault(row.speedup.outcome, []).append(row)
    faster = by_outcome.pop("faster", [])
    if faster:
        first, rest = faster[0], faster[1:]
        said = [
            f"{names[first.key]} has the fastest epoch: {_instead(first, reference)} with"
            f" {names[reference.key]}, {_shown(first)}."
        ]
        if rest:
            said.append(f"Also faster: {_listed(rest, names)}.")
    else:
        said = [f"No row was shown to be faster than {names[reference.key]}."]
    for outcome, lead in (
        ("slower", "Slower"),
        ("same", f"The same within {units.share(SAME_WITHIN)}"),
        ("inconclusive", "Not settled"),
    ):
        if outcome in by_outcome:
            said.append(f"{lead}: {_listed(by_outcome[outcome], names)}.")
    return said


def _steps(rows: Sequence[Row], document: Document, names: dict[str, str]) -> list[str]:
    """What is left to compare where a part of an epoch was lost, of the row or of the reference."""
    reference = document.rows[0]
    lost = [row for row in rows if row.epoch_time_s is None]
    said = [_no_epoch(lost, names)] if lost else []
    for row in rows:
        by = row.step_speedup
        assert by is not None
        this, that = f"{names[row.key]}'s steps", f"{names[reference.key]}'s"
        value, interval = units.ratio_interval(by.value, by.low, by.high)
        shown = f"{value} as fast {interval}".rstrip()
        told = {
            "faster": f"{this} are {value} as fast as {that} {interval}".rstrip() + ":",
            "slower": f"{this} are slower than {that}: {shown},",
            "same": (
                f"{this} and {that} take the same time, within {units.share(SAME_WITHIN)}: {shown},"
            ),
        }.get(by.outcome, f"Whether {this} are faster than {that} is not settled: {shown},")
        rates = f"{units.rate(row.samples_per_sec)} instead of"
        said.append(f"{told} {rates} {units.rate(reference.samples_per_sec)} samples/s.")
    return said


def _no_epoch(rows: Sequence[Row], names: dict[str, str]) -> str:
    listed = ", ".join(names[row.key] for row in rows)
    return f"No epoch of {listed} could be forecast: the notes say why."


def _failed(others: Sequence[Row], names: dict[str, str]) -> list[str]:
    lost = [row for row in others if row.speedup is None and row.step_speedup is None]
    if not lost:
        return []
    listed = ", ".join(f"{names[row.key]} ({_why_not(row)})" for row in lost)
    return [f"Not compared: {listed}; the notes say why."]


def _why_not(row: Row) -> str:
    if row.status != "ok":
        return row.status
    return "never timed beside the reference" if row.epoch_time_s else "only its steps were timed"


def _memory(row: Row, document: Document) -> list[str]:
    rows = document.rows
    ours, theirs = peak_memory_bytes(row, rows), peak_memory_bytes(rows[0], rows)
    if not ours or not theirs or abs(ours / theirs - 1) < MEMORY_WORTH_SAYING:
        return []
    unit = units.byte_unit([ours, theirs])
    where = "device memory" if on_device(rows) else "memory"
    return [
        f"Peak {where} is {units.ratio(ours / theirs)}: {units.size(ours, unit)} instead of"
        f" {units.size(theirs, unit)}."
    ]


def _to_conclude(compared: Sequence[Row], document: Document) -> list[str]:
    """What to run where the intervals left something open."""
    unsettled = [
        (row, by)
        for row in compared
        if (by := judged_by(row)) is not None and by.outcome == "inconclusive"
    ]
    if not unsettled or not document.complete:
        return []
    # a row that lost its epochs has no generation with one
    made = document.method.get("generations") or 0
    fewest = min(row.generations or made for row, _ in unsettled)
    if fewest < MIN_GENERATIONS:
        said = f"An interval needs {MIN_GENERATIONS} generations, and there were {fewest}"
        if any(note.code == "too_few_generations" for note in document.warnings):
            return [f"{said}."]
        return [f"{said}: {with_flag(document.command, '--generations', MIN_GENERATIONS)}"]
    factor = max(_budget_factor(by) for _, by in unsettled)
    if any(word.startswith("--generations") for word in words(document.command)):
        wanted = math.ceil(fewest * factor)
        return [f"To conclude: {with_flag(document.command, '--generations', wanted)}"]
    spent = document.method.get("budget_s") or document.method.get("elapsed_s")
    if not isinstance(spent, (int, float)) or spent <= 0:
        return ["A larger --time-budget narrows the intervals."]
    wanted = math.ceil(spent * factor / 30) * 30
    return [f"To conclude: {with_flag(document.command, '--time-budget', wanted)}"]


def _budget_factor(judged: Speedup) -> float:
    """How many times the generations an interval needs to leave 1, or to fit into `same`.

    Half-widths shrink with the root of the generations; at least twice as many, or little changes.
    """
    if judged.low is None or judged.high is None:
        return 2.0
    off, half = abs(math.log(judged.value)), math.log(judged.high / judged.low) / 2
    target = max(off, math.log(1 + SAME_WITHIN) - off)
    return min(max((half / target) ** 2, 2.0), MOST_BUDGET_FACTOR)


def _instead(row: Row, reference: Row) -> str:
    assert row.epoch_time_s is not None and reference.epoch_time_s is not None
    ours, theirs = row.epoch_time_s.value, reference.epoch_time_s.value
    unit = units.time_unit([ours, theirs])
    return f"{units.seconds(ours, unit)} instead of {units.seconds(theirs, unit)}"


def _value(row: Row) -> float:
    assert row.speedup is not None
    return row.speedup.value


def _shown(row: Row) -> str:
    assert row.speedup is not None
    value, interval = units.ratio_interval(row.speedup.value, row.speedup.low, row.speedup.high)
    return f"{value} as fast {interval}".rstrip()


def _listed(rows: Sequence[Row], names: dict[str, str]) -> str:
    shown = []
    for row in rows:
        assert row.speedup is not None
        judged = row.speedup
        value, interval = units.ratio_interval(judged.value, judged.low, judged.high)
        shown.append(f"{names[row.key]} {value} {interval}".rstrip())
    return ", ".join(shown)
