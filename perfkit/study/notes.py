"""What a reader must know of a row besides its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perfkit import units
from perfkit.document import Note
from perfkit.engine.plan import RowPlan
from perfkit.engine.results import BlockResult, GenerationResult, ProcessResult
from perfkit.stats import median
from perfkit.study.forecast import without_periodic_s
from perfkit.study.lost import lost_notes

UNSTEADY_SHARE = 0.25
"""Part of a row's blocks that may be unsteady before it is worth a note."""


def row_notes(
    row: RowPlan,
    blocks: list[BlockResult],
    results: Sequence[GenerationResult],
    loss: Mapping[str, float | None],
    finished: list[ProcessResult],
) -> tuple[Note, ...]:
    """Return the notes of a row.

    Args:
        blocks: its measured blocks, of the arm that trains as an epoch does.
        loss: distance to FP32's losses and the tolerance of that.
        finished: its processes that finished.
    """
    notes = []
    disturbed = sum(b.disturbed for b in blocks)
    if disturbed:
        text = f"{disturbed} of {len(blocks)} blocks ran beside somebody else's load"
        notes.append(Note(code="disturbed", text=text))
    throttled = sum(b.throttled for b in blocks)
    if throttled:
        text = f"the GPU slowed itself down in {throttled} of {len(blocks)} blocks"
        notes.append(Note(code="throttled", text=text))
    unsteady = [b for b in blocks if not b.steady]
    if len(unsteady) > UNSTEADY_SHARE * len(blocks):
        whys = [b.unsteady_because or "" for b in unsteady]
        why = max(set(whys), key=whys.count)
        text = f"{len(unsteady)} of {len(blocks)} blocks were not steady: {why}"
        notes.append(Note(code="unsteady", text=text))
    mine = [r for r in results if (p := r.process(row.key)) is not None and p.status == "ok"]
    if mine and not all(r.side_by_side for r in mine) and len(mine[-1].processes) > 1:
        text = "run one after another, not in turns side by side"
        notes.append(Note(code="sequential", text=text))
    if finished and finished[-1].effective.get("bf16") == "emulated":
        text = "bfloat16 is emulated: this CPU has no instructions for it"
        notes.append(Note(code="emulated_bf16", text=text))
    notes += lost_notes(finished)
    notes += _real_epochs(row, finished)
    far, limit = loss.get("distance"), loss.get("tolerance")
    if far is not None and limit is not None and far > limit:
        text = (
            f"losses are {_share(far)} from FP32's, and rounding in this precision explains"
            f" {_share(limit)}"
        )
        notes.append(Note(code="loss_differs", text=text))
    return tuple(notes)


def _real_epochs(row: RowPlan, finished: list[ProcessResult]) -> list[Note]:
    pairs = [
        (real, forecast)
        for p in finished
        if (real := p.full_epoch_s) and (forecast := without_periodic_s(p, row.config))
    ]
    if not pairs:
        return []
    error = median([forecast / real - 1 for real, forecast in pairs])
    text = (
        f"{len(pairs)} real epoch{'' if len(pairs) == 1 else 's'} without metrics and plots took"
        f" {units.seconds(median([real for real, _ in pairs]))} (median); the forecast was"
        f" {abs(error):.1%} {'above' if error > 0 else 'below'}"
    )
    return [Note(code="full_epoch", text=text)]


def _share(value: float) -> str:
    """A share of any size: tolerances of FP32 itself are millionths."""
    return f"{value:.1%}" if value >= 0.001 else f"{100 * value:.1g} %"
