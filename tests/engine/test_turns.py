"""Which arms there is time for."""

from __future__ import annotations

from typing import Any

import pytest

from perfkit.config import RunConfig
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.turns import Turns, fitting, palindrome_s

ARMS = ("real", "replay", "replay_running")
CONFIG = RunConfig(arch="x", num_workers=2, prefetch_factor=2)
BUSY = {"run_delay_s": 0.01, "workers_cores": 1.0}
QUIET = {"run_delay_s": 0.0, "workers_cores": 0.05}


def plan(**changes: Any) -> GenerationPlan:
    row = RowPlan(key="x/fp32", arch="x", variant="fp32", config=CONFIG)
    usual: dict[str, Any] = {"arms": ARMS, "palindromes": 6, "block_s": 0.45, "load_s": 2.0}
    return GenerationPlan(number=1, group=0, rows=(row,), **{**usual, **changes})


def turns(most_s: float | None, step_s: float = 0.05, **warm_up: Any) -> Turns:
    return fitting(plan(most_s=most_s), {"step_s": step_s, **warm_up}, CONFIG, cores=2)


def test_a_palindrome_by_hand() -> None:
    """Three arms there and back: 0.45 s and a run-in of 4 + 2 steps of 50 ms each."""
    assert palindrome_s(plan(), ARMS, 0.05, CONFIG) == pytest.approx(6 * (0.45 + 0.3))
    # a block has five steps at least; alone the real arm needs no run-in
    assert palindrome_s(plan(), ("real",), 0.2, CONFIG) == pytest.approx(2 * 1.0)


def test_without_a_limit_all_is_run() -> None:
    """A bench says how many seconds a generation may take by its palindromes."""
    assert turns(None, step_s=9.0) == Turns(arms=ARMS, palindromes=6, load_s=2.0)


@pytest.mark.parametrize(
    ("most_s", "found", "arms", "dropped"),
    [
        (29.0, BUSY, ARMS, ()),
        (28.0, BUSY, ARMS, ("load",)),
        (28.0, QUIET, ARMS, ("load",)),
        (20.0, QUIET, ARMS[:2], ("replay_running", "load")),
        (20.0, BUSY, ARMS[:1], ("replay", "replay_running", "load")),
        (20.0, {}, ARMS[:1], ("replay", "replay_running", "load")),
        (17.0, QUIET, ARMS[:1], ("replay", "replay_running", "load")),
    ],
)
def test_what_is_dropped_when_time_is_short(
    most_s: float, found: dict[str, float], arms: tuple[str, ...], dropped: tuple[str, ...]
) -> None:
    """The loader alone, then the running arm if nobody waits for a core, then all arms; no palindrome."""
    one = turns(most_s, **found)
    assert (one.arms, one.dropped, one.palindromes) == (arms, dropped, 6)
    assert one.load_s == (0.0 if "load" in dropped else 2.0)


def test_steps_so_long_that_nothing_fits_are_still_timed() -> None:
    """One palindrome of the real arm at least, and no more than there is time for."""
    assert turns(45.0, step_s=2.0).palindromes == 2
    assert turns(1.0, step_s=60.0).palindromes == 1
    assert turns(1.0, step_s=60.0).arms == ("real",)
