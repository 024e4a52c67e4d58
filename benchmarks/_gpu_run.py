"""`gpu_check.py --part run`: what `perfkit run` makes of a script that knows nothing of it.

Bare, attached, bare: whether the weights are the same wherever two bare runs are, whether all steps are
counted, and what it waited for its batches by the script's own clock and by perfkit's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _bench import environment_of_children
from _common import Row, Target

from perfkit import documentfile as documents
from perfkit.document import Document
from perfkit.errors import PerfkitError

SCRIPT = Path(__file__).parent / "plugins" / "scripts" / "mixed_precision.py"
TAKES_S = 120
WITHIN = 0.05
"""How far the waits of both clocks may lie apart."""


def watched(path: Path) -> tuple[list[Row], Document]:
    """Run the script bare, attached and bare again, and keep the Document in a file.

    Raises:
        PerfkitError: one of them failed.
    """
    bare, attached = (
        [sys.executable, str(SCRIPT)],
        [sys.executable, "-m", "perfkit", "run", "--json"],
    )
    rows = []
    for name, command in (
        ("bare", bare),
        ("attached", [*attached, str(path.absolute()), "--", *bare]),
        ("bare again", bare),
    ):
        rows.append({"name": name, **_told(command)})
    return rows, documents.read(path)


def _told(command: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, env=environment_of_children()
        )
    if done.returncode:
        raise PerfkitError(f"{' '.join(command)} ended with code {done.returncode}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def add_ours(rows: list[Row], document: Document) -> None:
    """Put beside the attached run what perfkit says of it."""
    (row, *_) = document.rows
    found = document.diagnosis
    rows[1] |= {
        "counted_steps": document.method.get("steps"),
        "exposed_wait_s": row.exposed_wait_s,
        "said": None if found is None else found.primary,
        "breakdown_s": {} if found is None else found.breakdown_s,
        "overhead_share": row.overhead_share,
    }


def targets(rows: list[Row]) -> list[Target]:
    """Return what the three runs should show."""
    before, ours, after = rows
    repeats = before["weights"] == after["weights"]
    same = ours["weights"] == before["weights"]
    wait_s, own_s = ours["exposed_wait_s"], ours["wait_s"]
    ratio = None if not wait_s else wait_s / own_s
    return [
        Target(
            name="weights",
            wanted="the same as bare, wherever two bare runs are",
            measured=("the same" if same else "others")
            + ("" if repeats else "; two bare runs differ, too"),
            met=same if repeats else None,
        ),
        Target(
            name="steps",
            wanted="all counted",
            measured=f"{ours['counted_steps']} of {ours['steps']}",
            met=ours["counted_steps"] == ours["steps"],
        ),
        Target(
            name="the wait for a batch, perfkit ÷ the script's own clock",
            wanted=f"within {WITHIN:.0%}",
            measured="unknown" if ratio is None else f"{ratio:.3f}",
            met=None if ratio is None else abs(ratio - 1) <= WITHIN,
        ),
        Target(
            name="verdict",
            wanted="input_bound",
            measured=str(ours["said"]),
            met=ours["said"] == "input_bound",
        ),
    ]
