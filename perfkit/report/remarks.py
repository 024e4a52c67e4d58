"""What stands below the answer: how it was measured, what it cost, what is missing, what to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perfkit import units
from perfkit.document import Document, Row
from perfkit.report.columns import plain, was_timed
from perfkit.report.phases import made_of, shares
from perfkit.report.words import NAMES, in_words, name_of

_OF_A_GPU = ("gpu_util_share", "peak_allocated_bytes", "peak_reserved_bytes")
_NOT_WORTH_SAYING = ("not_asked",)
WORTH_A_ROW = ("amp", "channels_last", "compile", "fused_optimizer")
"""Variants to name where no rule has anything to say; each is a hypothesis until its row is measured."""


@dataclass(frozen=True)
class Remark:
    """A label and what it says."""

    label: str
    text: str


def remarks(document: Document) -> list[Remark]:
    """Return what a reader should know besides the rows, in the order of reading."""
    found = [
        # a diagnosis shows it as a tree
        Remark("Epoch", _epoch(document.rows) if document.diagnosis is None else ""),
        *(Remark("Step", text) for text in made_of(document)),
        Remark("Measured", _measured(document.method)),
        Remark("Own cost", _own_cost(document.rows)),
        Remark("Workload", plain(str(document.method.get("sizes") or ""))),
        Remark("Machine", machine(document.environment)),
        Remark("GPU", _what_utilisation_is(document.rows)),
        *(Remark("Warning", plain(note.text)) for note in document.warnings),
        *(Remark("Not available", text) for text in not_available(document)),
        *(Remark("Try next", text) for text in try_next(document)),
    ]
    return [remark for remark in found if remark.text]


def notes(row: Row) -> list[str]:
    """Return a row's notes in full: why it failed, what compiling cost, what else to know of it."""
    said = []
    if row.status != "ok":
        message = plain(row.message or "no reason was given")
        said.append(f"{row.status}: {message}")
    if "compile" in row.variant:
        said += _compiling(row)
    return said + [plain(note.text) for note in row.notes]


def not_available(document: Document) -> list[str]:
    """Return what could not be had of the rows that were measured, a line per reason."""
    measured = [row for row in document.rows if row.status == "ok" and was_timed(row)]
    no_gpu = document.environment.get("device_type") == "cpu"
    missing: dict[str, dict[str, list[str]]] = {}
    for row in measured:
        for name, reason in row.unavailable.items():
            code = "no_gpu" if no_gpu and name in _OF_A_GPU else reason
            called = name_of(name, code)
            if code not in _NOT_WORTH_SAYING and called is not None:
                whose = missing.setdefault(in_words(code, name), {}).setdefault(called, [])
                whose.append(plain(row.key))
    parts = {} if document.diagnosis is None else document.diagnosis.unavailable
    for name, reason in [*document.unavailable.items(), *parts.items()]:
        if reason not in _NOT_WORTH_SAYING:
            called = NAMES.get(name, plain(name).replace("_", " "))
            missing.setdefault(in_words(reason, name), {}).setdefault(called, [])
    return [
        f"{', '.join(_whose(name, keys, measured) for name, keys in names.items())}: {words}"
        for words, names in missing.items()
    ]


def try_next(document: Document) -> list[str]:
    """Return what the rules found and what would lessen it; else changes that have no row yet."""
    found = [f"{plain(f.message)} {plain(f.try_next)}".strip() for f in document.findings]
    measured = any(was_timed(row) for row in document.rows)
    if found or not measured or document.kind != "bench":
        return found
    tried = {part.partition("=")[0] for row in document.rows for part in row.variant.split("+")}
    left = [f"--variant {name}" for name in WORTH_A_ROW if name not in tried]
    return [f"changes that have no row yet: {', '.join(left)}"] if left else []


def machine(environment: dict[str, Any]) -> str:
    """Return the machine and its software in a line; what is not known is left out."""
    device, cpu = environment.get("device_name"), environment.get("cpu_model")
    memory, cores = environment.get("memory_bytes"), environment.get("cores_usable")
    total = environment.get("device_memory_bytes")
    parts = [
        f"{device} ({units.size(total)})" if device and total else device or cpu,
        cpu if device and cpu != device else None,
        _cores(cores, environment.get("cores_total")) if cores else None,
        units.size(memory) if memory else None,
        *(f"{name} {environment[name]}" for name in ("torch", "python") if environment.get(name)),
        f"perfkit {environment['perfkit']}" if environment.get("perfkit") else None,
    ]
    return ", ".join(plain(str(part)) for part in parts if part)


def _cores(usable: int, total: int | None) -> str:
    """The cores that may be used, and of how many where the machine has more."""
    if total and total > usable:
        return f"{usable} of {total} cores"
    return f"{usable} core{'' if usable == 1 else 's'}"


def _epoch(rows: Sequence[Row]) -> str:
    """Say what the first measured row's epoch consists of, largest part first."""
    for row in rows:
        if row.status == "ok" and row.epoch_parts_s:
            told = shares(row.epoch_parts_s)
            return f"{plain(row.key)}: {told}" if told else ""
    return ""


def _compiling(row: Row) -> list[str]:
    """Say what the first step took, compiling with cold caches and with warm ones, and when it is paid."""
    cold_s, warm_s = row.startup_s.get("first_step_cold"), row.startup_s.get("first_step")
    after = row.compile_break_even_epochs
    if cold_s is None and warm_s is None:
        return []
    if cold_s is None:
        said, what = f"the first step, with compiling, took {units.seconds(warm_s)}", "it"
    else:
        said, what = (
            f"first step, cold caches: {units.seconds(cold_s)}",
            "compiling with cold caches",
        )
        said += "" if warm_s is None else f"; first step, warm: {units.seconds(warm_s)}"
    pays = "" if after is None else f"; {what} has paid for itself after {_epochs(after)}"
    return [said + pays]


def _measured(method: dict[str, Any]) -> str:
    if method.get("windows"):
        seen = _plural(method.get("epochs_seen") or 1, "epoch")
        steps = _plural(method.get("steps") or 0, "step")
        windows = _plural(method["windows"], "window")
        return _in_time(f"{steps} of {seen} were watched, in {windows} of equal length", method)
    generations, processes = method.get("generations"), method.get("processes")
    if not generations:
        return ""
    if method.get("arms"):
        return _in_time("; ".join(_of_arms(method)), method)
    text = _plural(generations, "generation")
    if processes and processes % generations == 0:
        each = processes // generations
        text += f" of {_plural(each, 'fresh process', 'fresh processes')}"
        if each > 1:
            alone = method.get("side_by_side") is False
            text += " run one after another" if alone else " taking turns"
    elif processes:
        text += f", {_plural(processes, 'fresh process', 'fresh processes')}"
    return _in_time(text, method)


def _of_arms(method: dict[str, Any]) -> list[str]:
    """What a process did whose batches come in several ways."""
    turns = method.get("palindromes") or ()
    taken = sum(turns) if isinstance(turns, (list, tuple)) else turns
    arms = ", ".join(plain(str(arm)).replace("_", " ") for arm in method["arms"])
    said = [_plural(method.get("processes") or 1, "fresh process", "fresh processes")]
    if len(method["arms"]) > 1 and taken:
        said.append(f"{_plural(taken, 'palindrome')} of arms ({arms})")
    if method.get("trials"):
        said.append(f"{_plural(len(method['trials']), 'remedy', 'remedies')} tried briefly")
    if method.get("verified"):
        generations = method["verified"].get("generations")
        said.append(f"remedies run in {_plural(generations, 'generation')}")
    return said


def _in_time(text: str, method: dict[str, Any]) -> str:
    """Add blocks, steps, seconds and the kind of interval to how it was measured."""
    if method.get("blocks"):
        text += f"; {_plural(method['blocks'], 'block')}"
        if method.get("steps"):
            text += f" with {_plural(method['steps'], 'step')}"
    said = [text]
    if method.get("elapsed_s"):
        said.append(f"{method['elapsed_s']:.0f} s in all")
    if method.get("interval"):
        said.append(f"intervals: {plain(str(method['interval']))}")
    return "; ".join(said)


def _own_cost(rows: Sequence[Row]) -> str:
    shares = [row.overhead_share for row in rows if row.overhead_share is not None]
    if not shares:
        return ""
    return f"perfkit's own calls took at most {units.share(max(shares), digits=2)} of a row's time"


def _what_utilisation_is(rows: Sequence[Row]) -> str:
    if all(row.gpu_util_share is None for row in rows):
        return ""
    return (
        "utilisation is the part of the time in which at least one kernel ran; how full the device"
        " was it does not say"
    )


def _whose(name: str, keys: list[str], measured: Sequence[Row]) -> str:
    return f"{name} of {', '.join(keys)}" if 0 < len(keys) < len(measured) else name


def _epochs(value: float) -> str:
    return "less than one epoch" if value < 1 else f"{units.significant(value, 2)} epochs"


def _plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one}" if count == 1 else f"{count} {many or one + 's'}"
