"""What a step consists of, in words: its phases in their order, whose clock they are on, and its batches.

`waiting` and `transfer` stand where it is known whether a batch was ready; `data_wait`, both together, where
it is not, and in older documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perfkit import units
from perfkit.document import Clock, Document, Row
from perfkit.report.columns import plain
from perfkit.report.settings import whole

WAITS = ("waiting", "transfer")
GETTING = (*WAITS, "data_wait")
"""Phases in which a step gets its batch."""
_FIRST = (*GETTING, "h2d", "forward", "backward", "optimizer")
_RESIDUAL = "other"
_MEANS = {
    "waiting": "the batch was not there",
    "transfer": (
        "it was there and had to be handed over from worker to trainer (rebuilding tensors, pinning)"
    ),
}
_TOGETHER = "both together, where it is not known whether it was there"
_CLOCKS: dict[Clock, str] = {
    "host": "a call that the device still works on counts until it returns",
    "device": (
        "a wait counts as long as the device stood idle for it; what the host spent launching is in"
        " no phase"
    ),
}


def in_order(names: Iterable[str]) -> list[str]:
    """Return phases once each, as a step goes through them: unknown ones before the residual."""
    found = list(dict.fromkeys(names))
    unknown = [name for name in found if name not in _FIRST and name != _RESIDUAL]
    return [name for name in (*_FIRST, *unknown, _RESIDUAL) if name in found]


def title(name: str) -> str:
    """Return what a phase is called in text; a function with its place stays as it is."""
    return plain(name) if name.endswith(")") else plain(name).replace("_", " ")


def explanation(names: Iterable[str]) -> str:
    """Say what the waits for a batch among these phases mean; empty where they are not told apart."""
    found = set(names)
    known = [name for name in WAITS if name in found]
    said = [f"{name}: {_MEANS[name]}" for name in known]
    if known and "data_wait" in found:
        said.append(f"{title('data_wait')}: {_TOGETHER}")
    return "; ".join(said)


def clocks(document: Document) -> set[Clock | None]:
    """Return whose clocks the phases are on; none where the host is the device and there is no other."""
    found = {row.phases_clock for row in document.rows if row.phases_s}
    is_host = document.environment.get("device_type") in ("cpu", None)
    return set() if is_host and "device" not in found else found


def on_clock(document: Document) -> str:
    """Say whose clock the phases of a document are on; empty where there is only one."""
    found = clocks(document)
    if not found:
        return ""
    told = {clock: meant for clock, meant in _CLOCKS.items() if clock in found}
    if len(found) > 1:
        meant = "; ".join(f"{clock}'s: {meant}" for clock, meant in told.items())
        return f"on the clock that stands beside each row ({meant})"
    for clock, meant in told.items():
        return f"on the {clock}'s clock ({meant})"
    return "on a clock that the document does not name"


def clock_of(row: Row) -> str:
    """Return whose clock a row's phases are on, in a word or two."""
    return f"{row.phases_clock}'s clock" if row.phases_clock else "clock not known"


def not_ready(document: Document, row: Row) -> str:
    """Say how often a step asked for a batch that was not there; empty where that is not known.

    Without workers no batch is ever made before it is asked for: there is nothing to say.
    """
    if row.not_ready_share is None or whole(document, row, "num_workers") == 0:
        return ""
    if row.not_ready_share == 0:
        return "the next batch was ready at every step"
    few = row.not_ready_share < 0.005
    share = f"less than {units.share(0.01)}" if few else units.share(row.not_ready_share)
    return f"the next batch was not ready at {share} of the steps"


def made_of(document: Document) -> list[str]:
    """Say what a step of the first measured row consists of, and how the others came by their batches."""
    rows = [row for row in document.rows if row.status == "ok" and sum(row.phases_s.values()) > 0]
    if not rows:
        return []
    said = [_sentence(document, rows[0], shares(rows[0].phases_s))]
    for row in rows[1:]:
        waits = {name: row.phases_s[name] for name in WAITS if name in row.phases_s}
        if waits or not_ready(document, row):
            told = shares(waits, of=sum(row.phases_s.values()))
            said.append(_sentence(document, row, told))
    explained = explanation(name for row in rows for name in row.phases_s)
    return [*said, explained] if explained else said


def shares(parts: dict[str, float], *, of: float | None = None) -> str:
    """Return parts of a whole, the largest first; `of` is the whole where they are not all of it."""
    total = sum(parts.values()) if of is None else of
    if total <= 0:
        return ""
    ordered = sorted(parts.items(), key=lambda part: -part[1])
    return ", ".join(f"{title(name)} {units.share(value / total)}" for name, value in ordered)


def no_core(rows: Sequence[tuple[str, Row]]) -> str:
    """Say how long a step the trainer's thread could run and had no core; empty where nobody knows.

    Args:
        rows: each with its name.
    """
    known = [(name, row.run_delay_s) for name, row in rows if row.run_delay_s is not None]
    unit = units.time_unit([delay_s for _, delay_s in known])
    told = [
        f"{units.seconds(delay_s, unit)}{'' if number else ' of a step'}"
        f"{f' in {name}' if len(rows) > 1 else ''}"
        for number, (name, delay_s) in enumerate(known)
    ]
    if not told:
        return ""
    return f"The trainer's thread was ready to run and had no core for {', '.join(told)}."


def _sentence(document: Document, row: Row, told: str) -> str:
    clock = f", {clock_of(row)}" if clocks(document) and row.phases_clock else ""
    said = "; ".join(part for part in (told, not_ready(document, row)) if part)
    return f"{plain(row.key)}{clock}: {said}"
