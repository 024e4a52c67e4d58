"""What a diagnosis says, in sentences: the headline, then verdict, why and next."""

from __future__ import annotations

import re
import shlex

from perfkit import units
from perfkit.document import Diagnosis, Document, Row, Verdict
from perfkit.report import commands
from perfkit.report.columns import on_device, peak_memory_bytes, plain
from perfkit.report.diagnose import figures, gains
from perfkit.report.diagnose.kinds import (
    kind_of,
    marks,
    named,
    primary_of,
    stage_of,
    title,
    workers_of,
)
from perfkit.report.phases import GETTING
from perfkit.report.remarks import WORTH_A_ROW
from perfkit.report.settings import whole

_LONGER = 2
"""How many times the time a diagnosis is told to take that could not conclude."""
_COMMAND = re.compile(r"(?<![\w-])(perfkit \w|--[a-z])")
_ORDER = re.compile(r"(bench|diagnose|give|look|name|perfkit|run|try|watch)\b", re.IGNORECASE)
"""How what to do begins."""
_BORDER = re.compile(r"(?<=[.;:]) +(?=\S)")


def headline(document: Document) -> str:
    """Return the answer in one sentence."""
    diagnosis = document.diagnosis
    assert diagnosis is not None
    verdict = primary_of(diagnosis)
    if verdict is not None:
        return f"{_costs(verdict, document)}."
    if diagnosis.primary == "inconclusive":
        return "Inconclusive: what holds this training back could not be told."
    if diagnosis.primary == "balanced":
        return "Balanced: no single cause holds this training back."
    said = title(diagnosis.primary)
    return f"{said[:1].upper() + said[1:]}."


def box(document: Document) -> list[tuple[str, str]]:
    """Return the verdict, why, and what to do next; a label that goes on stands twice."""
    diagnosis = document.diagnosis
    assert diagnosis is not None
    verdict = primary_of(diagnosis)
    if verdict is not None:
        told = f"{named(verdict)}: {marks(verdict)}"
        why = plain(verdict.evidence[0]) if verdict.evidence else ""
    else:
        told = plain(diagnosis.primary)
        balanced = diagnosis.primary == "balanced" and rates(diagnosis)
        why = f"{_capital(balanced)}." if balanced else ""
    following: list[str] = []
    if diagnosis.inconclusive_because:
        said, *following = _to_conclude(diagnosis.inconclusive_because, document)
        why = " ".join(part for part in (why, said) if part)
    why = why or "no witness is named"
    following += _to_try(diagnosis, document, concluded=not following)
    return [("Verdict", told), ("Why", why), *(("Next", one) for one in following)]


def rates(diagnosis: Diagnosis) -> str:
    """Say what the loader delivers alone, computing takes alone, and both do together."""
    known = [
        (what, units.rate(value))
        for what, value in (
            ("the loader alone delivers", diagnosis.loader_samples_per_sec),
            ("computing alone takes", diagnosis.compute_samples_per_sec),
            ("together they do", diagnosis.actual_samples_per_sec),
        )
        if value is not None
    ]
    if not known:
        return ""
    if len(known) == 1 and diagnosis.actual_samples_per_sec is not None:
        # the rate itself stands with the training
        return ""
    (first, rate), *others = known
    return ", ".join([f"{first} {rate} samples/s", *(f"{what} {rate}" for what, rate in others)])


def workers(document: Document) -> str:
    """Say how many loader workers would keep up with the training; empty where that is not known.

    Where workers compute, they are as many as the cores have room for, which may be too few.
    """
    diagnosis = document.diagnosis
    if diagnosis is None or diagnosis.workers_needed is None:
        return ""
    now = workers_of(document)
    needed = diagnosis.workers_needed
    if any(_too_slow(row, document, needed) for row in document.rows[:1]):
        said = f"no number keeps up with the training: the cores have room for {needed} beside it"
    else:
        said = f"{needed} worker{'' if needed == 1 else 's'} would keep up with the training"
    return said if now is None else f"{said}; there {'is' if now == 1 else 'are'} {now} now"


def _too_slow(row: Row, document: Document, count: int) -> bool:
    """Whether so many workers make batches more slowly than steps take them that do not wait."""
    diagnosis = document.diagnosis
    assert diagnosis is not None
    made_s = sum(row.loader.get(name) or 0.0 for name in ("fetch_s", "collate_s", "handover_s"))
    size, taken = whole(document, row, "batch_size"), diagnosis.compute_samples_per_sec
    if size is not None and taken:
        each_s = size / taken
    else:
        each_s = sum(s for name, s in row.phases_s.items() if name not in GETTING)
    # the number of workers is rounded up: that what they make is just enough is not too slow
    return each_s > 0 and made_s > count * each_s * (1 + 1e-9)


def weight(verdict: Verdict, document: Document) -> str:
    """Say what a verdict costs and what of it could be gone, in figures."""
    unit = figures.epoch_unit(document)
    cost = units.significant(verdict.seconds_per_epoch / unit[0])
    said = f"{figures.share(verdict.share)} of the epoch, {cost} {unit[1]}"
    if verdict.removable_s is None:
        return said
    return (
        f"{said}; without it an epoch would be {figures.seconds(verdict.removable_s, unit)} shorter"
    )


def naive(document: Document) -> str:
    """Say what `nvidia-smi` alone suggests, and whether that is right; empty where there is no reading."""
    reading = None if document.diagnosis is None else document.diagnosis.naive_nvidia_smi
    if reading is None:
        return ""
    blamed = "nothing" if reading.blames is None else f"the {reading.blames}"
    right = "right" if reading.is_right else "wrong"
    why = plain(reading.why)
    return (
        f"{units.share(reading.gpu_util_share)} utilisation blames {blamed}, which is {right} here"
        f"{f': {why}' if why else ''}"
    )


def _costs(verdict: Verdict, document: Document) -> str:
    """What a verdict costs: of every step where each step pays for it, else of an epoch."""
    kind = kind_of(verdict)
    said = f"{kind.subject} {kind.takes} {units.share(verdict.share.value)} of the epoch"
    each_s, steps = figures.step_s(document), figures.steps(document)
    if kind.each_step and each_s and steps:
        half = verdict.share.half_width
        whole_s = figures.epoch_s(document)
        half_s = None if half is None or whole_s is None else half * whole_s / steps
        said += _of(verdict.seconds_per_epoch / steps, half_s, each_s, "of every", " step")
    elif (whole_s := figures.epoch_s(document)) is not None:
        half = verdict.share.half_width
        half_s = None if half is None else half * whole_s
        said += _of(verdict.seconds_per_epoch, half_s, whole_s, "of", "")
    stage = stage_of(verdict, document)
    return f"{said}; {stage}" if stage else said


def _of(part_s: float, half_s: float | None, whole_s: float, of: str, what: str) -> str:
    scale, unit = units.time_unit([whole_s])
    part = units.with_error(part_s / scale, None if half_s is None else half_s / scale)
    return f": {part} {unit} {of} {units.significant(whole_s / scale)} {unit}{what}"


def _to_conclude(because: str, document: Document) -> list[str]:
    """Why there is no verdict, and the command that would give one: what is said, else a longer study."""
    said = plain(because)
    pieces = _BORDER.split(said)
    for number, piece in enumerate(pieces):
        if number and (_COMMAND.search(piece) or _ORDER.match(piece)):
            before, after = " ".join(pieces[:number]), " ".join(pieces[number:])
            return [f"{before.rstrip(';:.')}.", _capital(after)]
    if _COMMAND.search(said):
        return [said, "run what is named above"]
    if document.kind == "run":
        return [said, "watch more of it: let the script run longer"]
    spent = document.method.get("budget_s") or document.method.get("elapsed_s")
    if not isinstance(spent, (int, float)) or isinstance(spent, bool) or spent <= 0:
        return [said, "give it more time: a larger --time-budget"]
    wanted = -(-int(spent * _LONGER) // 10) * 10
    return [said, f"to conclude: {commands.with_flag(document.command, '--time-budget', wanted)}"]


def _to_try(diagnosis: Diagnosis, document: Document, *, concluded: bool) -> list[str]:
    """The remedy to try first, with its command; where there is none, what would find one."""
    first = next(iter(gains.to_try(diagnosis)), None)
    if first is not None:
        told = gains.sentence(first, figures.epoch_unit(document))
        if first.changes_training:
            told += "; it changes what is trained"
        return [told, *([plain(first.command)] if first.command else [])]
    if diagnosis.primary == "balanced" and document.rows:
        row = document.rows[0]
        change = next((name for name in WORTH_A_ROW if name not in row.variant), WORTH_A_ROW[0])
        command = shlex.join(["perfkit", "bench", "--arch", plain(row.arch), "--variant", change])
        return [f"to see what a change is worth: {command}"]
    if not concluded:
        return []
    return ["no remedy that is known here is predicted to save anything"]


def _capital(said: str) -> str:
    return said if said.startswith("perfkit") else said[:1].upper() + said[1:]


def training(row: Row) -> str:
    """Say what a row's epoch, step and memory are; what was not measured is left out."""
    said = []
    if row.epoch_time_s is not None:
        half = row.epoch_time_s.half_width
        scale, unit = units.time_unit([row.epoch_time_s.value])
        shown = units.with_error(row.epoch_time_s.value / scale, half and half / scale)
        said.append(f"an epoch in {shown} {unit}")
    if row.step_time_s is not None:
        said.append(f"median step {units.seconds(row.step_time_s.median)}")
    if row.samples_per_sec is not None:
        said.append(f"{units.rate(row.samples_per_sec)} samples/s")
    peak = peak_memory_bytes(row, (row,))
    if peak is not None:
        said.append(f"peak memory {units.size(peak)} ({'device' if on_device((row,)) else 'host'})")
    if row.gpu_util_share is not None:
        said.append(f"GPU utilisation {units.share(row.gpu_util_share)}")
    told = ", ".join(said) or f"{row.status}: nothing was measured"
    return f"{plain(row.key)}: {told}"
