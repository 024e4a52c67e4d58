"""Means over blocks and processes: what may be averaged together, and with which weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fake_engine import block

from perfkit.document import Spread
from perfkit.engine.results import BlockResult, ProcessResult
from perfkit.study.means import most, per_step, per_step_value, phases, spread, startup_s

HOST = {"data_wait": 0.01, "forward": 0.03, "other": 0.06}
DEVICE = {"waiting": 0.02, "transfer": 0.01, "forward": 0.07}


def timed(number: int, phases_s: dict[str, float], clock: Any, steps: int = 10) -> BlockResult:
    return replace(block(number, 0, 0.1, steps), phases_s=phases_s, phases_clock=clock)


def of(*blocks: BlockResult) -> list[ProcessResult]:
    """One process with these blocks."""
    return [ProcessResult(key="x/fp32", status="ok", blocks=blocks)]


def first_step(value: float | None, status: Any = "ok") -> ProcessResult:
    startup = {"worker_start": 0.1} | ({} if value is None else {"first_step": value})
    return ProcessResult(key="x/fp32", status=status, startup_s=startup)


def test_blocks_weigh_by_their_steps() -> None:
    """Ten steps of 0.1 s of delay and thirty of 0.3 s: 0.25 s a step."""
    blocks = [
        replace(block(0, 0, 0.1, 10), run_delay_s=0.1),
        replace(block(1, 0, 0.1, 30), run_delay_s=0.3),
        replace(block(2, 0, 0.1, 99), run_delay_s=None),
    ]
    assert per_step_value(blocks, lambda b: b.run_delay_s) == pytest.approx(0.25)
    assert per_step_value(blocks[2:], lambda b: b.run_delay_s) is None
    assert per_step(blocks[:2], lambda b: {"x": b.run_delay_s or 0}) == pytest.approx({"x": 0.25})


def test_two_clocks_are_never_averaged_together() -> None:
    """Blocks on the device's clock are preferred, then the host's, then those of earlier versions."""
    host, device, untold = timed(0, HOST, "host"), timed(1, DEVICE, "device"), timed(2, HOST, None)
    assert phases(of(host, device, untold)) == (pytest.approx(DEVICE), "device")
    assert phases(of(host, untold)) == (pytest.approx(HOST), "host")
    assert phases(of(untold)) == (pytest.approx(HOST), None)
    assert phases(of(timed(0, {}, None))) == ({}, None)


def test_blocks_without_phases_have_no_clock() -> None:
    """A block whose phases were not marked says nothing of them, whatever clock it names."""
    found = phases(of(timed(0, {}, "device"), timed(1, HOST, "host")))
    assert found == (pytest.approx(HOST), "host")


def test_where_no_block_has_phases_those_of_all_its_steps_are_told() -> None:
    """Marks that cost much are put in few steps: too few in a block, enough in all of them."""
    (process,) = of(timed(0, {}, None), timed(1, {}, None))
    told = replace(process, phases_s=DEVICE, phases_clock="device")
    assert phases([process, told]) == (DEVICE, "device")
    known = of(timed(0, HOST, "host"))
    assert phases([told, *known]) == (pytest.approx(HOST), "host")


def test_what_is_known_of_readiness_is_not_mixed_with_what_is_not() -> None:
    """Phases add up to the mean step of the blocks that they are of."""
    knowing = [timed(0, DEVICE, "host", 10), timed(1, {**DEVICE, "waiting": 0.06}, "host", 30)]
    found, clock = phases(of(*knowing, timed(2, HOST, "host", 500)))
    assert clock == "host"
    assert found == pytest.approx({"waiting": 0.05, "transfer": 0.01, "forward": 0.07})


def test_the_first_step_is_two_numbers() -> None:
    """Cold is the row's first, even of a process that failed later; warm the median of the others."""
    found = startup_s([first_step(30.0, "killed"), first_step(5.0), first_step(7.0)])
    assert found == pytest.approx({"worker_start": 0.1, "first_step_cold": 30.0, "first_step": 6.0})
    assert startup_s([first_step(30.0), first_step(6.0)])["first_step"] == 6.0


def test_one_process_has_no_warm_first_step() -> None:
    """Nothing is filled in, and of a row that never finished nothing is told."""
    assert startup_s([first_step(30.0)]) == {"worker_start": 0.1, "first_step_cold": 30.0}
    assert startup_s([first_step(30.0, "oom")]) == {}
    assert startup_s([first_step(None)]) == {"worker_start": 0.1}


def test_peaks_and_spread() -> None:
    """A peak is a maximum over those that have it; no steps have no spread."""
    assert most([{"a": 1, "b": None}, {"a": 3}, {"a": None}]) == {"a": 3, "b": None}
    assert spread([]) is None
    assert spread([1.0, 2.0, 3.0]) == Spread(median=2.0, p10=1.2, p90=2.8)
