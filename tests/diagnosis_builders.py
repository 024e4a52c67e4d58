"""What a diagnosis made by hand consists of: its row, verdicts and Document."""

from __future__ import annotations

from typing import Any

from report_documents import CPU, METHOD, row

from perfkit.document import Diagnosis, Document, Row, Severity, Spread, Verdict
from perfkit.stats import Interval

SERVER = {**CPU, "cores_usable": 8, "memory_bytes": 32 * 2**30}
ARMS = ["real", "replay", "replay_running"]
HOW = {
    "generations": 1,
    "processes": 1,
    "palindromes": [6],
    "arms": ARMS,
    "dropped": [],
    "blocks": 36,
    "steps": 412,
    "side_by_side": True,
    "budget_s": 60.0,
    "elapsed_s": 57.3,
    "interval": "95 %, Student's t over palindromes of arms in one process",
    "sizes": METHOD["sizes"],
}
BASE = {"data": "jpeg", "num_workers": 2, "batch_size": 16, "epochs": 100}


def around(value: float, half: float) -> Interval:
    """An interval that lies evenly."""
    return Interval(value, value - half, value + half)


def verdict(
    kind: str, severity: Severity, share: Interval, seconds: float, *evidence: str, **more: Any
) -> Verdict:
    """A verdict with its witnesses."""
    return Verdict(
        kind=kind,
        severity=severity,
        share=share,
        seconds_per_epoch=seconds,
        evidence=evidence,
        **more,
    )


def step_ms(
    waiting: float,
    transfer: float,
    forward: float,
    backward: float,
    optimizer: float,
    other: float,
    *,
    h2d: float | None = None,
) -> dict[str, float]:
    """The phases of a step, in milliseconds."""
    copies = {} if h2d is None else {"h2d": h2d}
    phases = {"waiting": waiting, "transfer": transfer, **copies, "forward": forward}
    return phases | {"backward": backward, "optimizer": optimizer, "other": other}


def trained(parts: dict[str, float], phases: dict[str, float], **changes: Any) -> Row:
    """The row of a diagnosis: an epoch of parts, a step of phases in milliseconds."""
    epoch_s, step_s = sum(parts.values()), sum(phases.values()) / 1000
    values: dict[str, Any] = {
        "epoch_parts_s": parts,
        "phases_s": {name: value / 1000 for name, value in phases.items()},
        "phases_clock": "host",
        "step_time_s": Spread(median=step_s, p10=0.96 * step_s, p90=1.1 * step_s),
        "samples_per_sec": 16 / step_s,
        "generations": 1,
    }
    return row("convnext/fp32", epoch_s, None, **(values | changes))


def diagnosed(shown: Row, found: Diagnosis, **changes: Any) -> Document:
    """The Document of `perfkit diagnose`."""
    values: dict[str, Any] = {
        "kind": "diagnose",
        "command": "perfkit diagnose --num-workers 2",
        "created": "2026-01-01T00:00:00+00:00",
        "environment": SERVER,
        "base": BASE,
        "rows": (shown,),
        "diagnosis": found,
        "method": HOW,
    }
    return Document(**(values | changes))
