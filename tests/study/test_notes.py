"""What a reader must know of a row besides its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from fake_engine import FakeEngine, block, row

from perfkit.engine.plan import GenerationPlan
from perfkit.engine.results import BlockResult, GenerationResult, ProcessResult
from perfkit.study.notes import row_notes

ROW = row("x/amp")


def codes(
    blocks: Sequence[BlockResult] = (),
    results: Sequence[GenerationResult] = (),
    loss: Mapping[str, float | None] | None = None,
    finished: Sequence[ProcessResult] = (),
) -> dict[str, str]:
    notes = row_notes(ROW, list(blocks), results, loss or {}, list(finished))
    return {note.code: note.text for note in notes}


def blocks(count: int, **changes: Any) -> list[BlockResult]:
    return [replace(block(n, n // 2, 0.1), **changes) for n in range(count)]


def generations(*side_by_side: bool, keys: Sequence[str] = ("x/fp32", "x/amp")) -> list[Any]:
    engine = FakeEngine(dict.fromkeys(keys, 0.1))
    rows = tuple(map(row, keys))
    return [
        engine.run(GenerationPlan(number=n, group=0, rows=rows, side_by_side=together))
        for n, together in enumerate(side_by_side, start=1)
    ]


def test_a_quiet_row_has_no_notes() -> None:
    """Steady, undisturbed blocks side by side need no words."""
    assert codes(blocks(8), generations(True, True)) == {}


def test_disturbed_blocks_are_counted() -> None:
    """One block beside somebody else's load is said."""
    text = codes([*blocks(7), *blocks(1, disturbed=True)])["disturbed"]
    assert text.startswith("1 of 8 blocks")


@pytest.mark.parametrize(("unsteady", "said"), [(2, False), (3, True)])
def test_unsteady_blocks_are_said_above_a_quarter(unsteady: int, said: bool) -> None:
    """Two of eight are no news, three are, with the commonest reason."""
    some = blocks(unsteady, steady=False, unsteady_because="its halves disagree")
    assert ("unsteady" in codes([*blocks(8 - unsteady), *some])) == said


def test_the_commonest_reason_is_named() -> None:
    """Of several reasons for unsteadiness the one seen most."""
    once = blocks(1, steady=False, unsteady_because="recompiled")
    often = blocks(2, steady=False, unsteady_because="its halves disagree")
    assert codes([*once, *often])["unsteady"].endswith("its halves disagree")


def test_rounds_one_after_another_are_said() -> None:
    """Where a row was not run side by side with others, the row says so."""
    assert "sequential" in codes(results=generations(True, False))
    assert "sequential" not in codes(results=generations(True, True))


def test_a_row_alone_is_not_sequential() -> None:
    """With one row there is nobody to run beside."""
    assert "sequential" not in codes(results=generations(False, keys=("x/amp",)))


def test_emulated_bfloat16_is_said() -> None:
    """A CPU without the instructions shows what bfloat16 costs there, not what it brings elsewhere."""
    emulated = ProcessResult(key="x/amp", status="ok", effective={"bf16": "emulated"})
    native = replace(emulated, effective={"bf16": "native"})
    assert "emulated_bf16" in codes(finished=[emulated])
    assert "emulated_bf16" not in codes(finished=[native])


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ({"distance": 0.2, "tolerance": 0.1}, True),
        ({"distance": 0.1, "tolerance": 0.1}, False),
        ({"distance": 0.2, "tolerance": None}, False),
        ({"distance": None, "tolerance": 0.1}, False),
        ({}, False),
    ],
)
def test_losses_beyond_the_tolerance_are_said(loss: dict[str, float | None], said: bool) -> None:
    """Only a distance that was measured, beyond a tolerance that was measured."""
    assert ("loss_differs" in codes(loss=loss)) == said


def test_a_small_tolerance_is_readable() -> None:
    """FP32's own rounding is millionths, and not 0.0 %."""
    text = codes(loss={"distance": 0.013, "tolerance": 2.4e-6})["loss_differs"]
    assert text == "losses are 1.3% from FP32's, and rounding in this precision explains 0.0002 %"


def test_what_was_lost_is_said() -> None:
    """By name, with what happened."""
    lost = ProcessResult(key="x/amp", status="ok", lost={"memory": "RuntimeError: gone"})
    assert codes(finished=[lost])["part_lost"] == (
        "the peaks of memory could not be measured: RuntimeError: gone"
    )


@pytest.mark.parametrize(("real_s", "said"), [(0.8, "25.0 % above"), (1.25, "20.0 % below")])
def test_a_real_epoch_is_held_against_the_forecast(real_s: float, said: str) -> None:
    """A forecast of 1 s beside what an epoch took: a miss is shown as a miss."""
    measured = ProcessResult(key="x/amp", status="ok", blocks=tuple(blocks(1)), full_epoch_s=real_s)
    text = codes(finished=[measured])["full_epoch"].replace("%", " %").replace("  ", " ")
    assert said in text and text.startswith("1 real epoch ")
