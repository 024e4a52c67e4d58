"""What stands below the answer: how it was measured, what it cost, what is missing, what to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perfkit import units
from perfkit.document import Document, Row
from perfkit.report.columns import plain
from perfkit.telemetry.reading import REASONS

_NAMES = {
    "gpu_util_share": "GPU utilisation",
    "peak_allocated_bytes": "allocated device memory",
    "peak_reserved_bytes": "reserved device memory",
    "peak_rss_bytes": "host memory (RSS)",
    "workers_pss_bytes": "the workers' memory (PSS)",
    "memory_ratio": "memory ratio",
    "exposed_wait_s": "exposed wait",
    "flops_per_sample": "FLOPs per sample",
    "mfu": "MFU",
    "gemm_ceiling_share": "share of the matrix-product ceiling",
    "overhead_share": "perfkit's own cost",
    "speedup": "speed-up",
    "step_speedup": "speed-up of the step",
}
"""Values of a row, in words."""
_OF_A_GPU = ("gpu_util_share", "peak_allocated_bytes", "peak_reserved_bytes")
_REASONS = {
    **REASONS,
    "no_gpu": REASONS["not_applicable"],
    "unknown_peak": "no published peak is known for this device",
}
"""Reason codes in words; a reason that is none of them is shown as it is."""
_NOT_WORTH_SAYING = ("not_asked",)
_WORTH_A_ROW = ("amp", "channels_last", "compile", "fused_optimizer")
"""Variants to name where no rule has anything to say; each is a hypothesis until its row is measured."""


@dataclass(frozen=True)
class Remark:
    """A label and what it says."""

    label: str
    text: str


def remarks(document: Document) -> list[Remark]:
    """Return what a reader should know besides the rows, in the order of reading."""
    found = [
        *(Remark(*made_of) for made_of in _made_of(document.rows)),
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
    first_step = row.startup_s.get("first_step")
    if "compile" in row.variant and first_step is not None:
        after = row.compile_break_even_epochs
        pays = "" if after is None else f"; it has paid for itself after {_epochs(after)}"
        said.append(f"the first step, with compiling, took {units.seconds(first_step)}{pays}")
    return said + [plain(note.text) for note in row.notes]


def not_available(document: Document) -> list[str]:
    """Return what could not be had of the rows that were measured, a line per reason."""
    measured = [row for row in document.rows if row.status == "ok" and row.epoch_time_s is not None]
    no_gpu = document.environment.get("device_type") == "cpu"
    missing: dict[str, dict[str, list[str]]] = {}
    for row in measured:
        for name, reason in row.unavailable.items():
            code = "no_gpu" if no_gpu and name in _OF_A_GPU else reason
            if code not in _NOT_WORTH_SAYING and name in _NAMES:
                whose = missing.setdefault(_in_words(code), {}).setdefault(_NAMES[name], [])
                whose.append(plain(row.key))
    for name, reason in document.unavailable.items():
        if reason not in _NOT_WORTH_SAYING:
            missing.setdefault(_in_words(reason), {}).setdefault(plain(name).replace("_", " "), [])
    return [
        f"{', '.join(_whose(name, keys, measured) for name, keys in names.items())}: {words}"
        for words, names in missing.items()
    ]


def try_next(document: Document) -> list[str]:
    """Return what the rules found and what would lessen it; else changes that have no row yet."""
    found = [f"{plain(f.message)} {plain(f.try_next)}".strip() for f in document.findings]
    measured = any(row.epoch_time_s is not None for row in document.rows)
    if found or not measured or document.kind != "bench":
        return found
    tried = {part.partition("=")[0] for row in document.rows for part in row.variant.split("+")}
    left = [f"--variant {name}" for name in _WORTH_A_ROW if name not in tried]
    return [f"changes that have no row yet: {', '.join(left)}"] if left else []


def machine(environment: dict[str, Any]) -> str:
    """Return the machine and its software in a line; what is not known is left out."""
    device, cpu = environment.get("device_name"), environment.get("cpu_model")
    memory, cores = environment.get("memory_bytes"), environment.get("cores_usable")
    total = environment.get("device_memory_bytes")
    parts = [
        f"{device} ({units.size(total)})" if device and total else device or cpu,
        cpu if device and cpu != device else None,
        f"{cores} core{'' if cores == 1 else 's'}" if cores else None,
        units.size(memory) if memory else None,
        *(f"{name} {environment[name]}" for name in ("torch", "python") if environment.get(name)),
        f"perfkit {environment['perfkit']}" if environment.get("perfkit") else None,
    ]
    return ", ".join(plain(str(part)) for part in parts if part)


def _made_of(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Say what the first measured row's epoch and step consist of, largest part first."""
    for row in rows:
        if row.status == "ok" and row.epoch_parts_s:
            return [
                (label, f"{plain(row.key)}: {text}")
                for label, parts in (("Epoch", row.epoch_parts_s), ("Step", row.phases_s))
                if (text := _shares(parts))
            ]
    return []


def _shares(parts: dict[str, float]) -> str:
    total = sum(parts.values())
    if total <= 0:
        return ""
    ordered = sorted(parts.items(), key=lambda part: -part[1])
    return ", ".join(f"{plain(n).replace('_', ' ')} {units.share(v / total)}" for n, v in ordered)


def _measured(method: dict[str, Any]) -> str:
    generations, processes = method.get("generations"), method.get("processes")
    if not generations:
        return ""
    text = _plural(generations, "generation")
    if processes and processes % generations == 0:
        each = processes // generations
        text += f" of {_plural(each, 'fresh process', 'fresh processes')}"
        if each > 1:
            alone = method.get("side_by_side") is False
            text += " run one after another" if alone else " taking turns"
    elif processes:
        text += f", {_plural(processes, 'fresh process', 'fresh processes')}"
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


def _in_words(reason: str) -> str:
    return _REASONS.get(reason, plain(reason).replace("_", " "))


def _whose(name: str, keys: list[str], measured: Sequence[Row]) -> str:
    return f"{name} of {', '.join(keys)}" if 0 < len(keys) < len(measured) else name


def _epochs(value: float) -> str:
    return "less than one epoch" if value < 1 else f"{units.significant(value, 2)} epochs"


def _plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one}" if count == 1 else f"{count} {many or one + 's'}"
