"""Which arms there is time for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perfkit.config import RunConfig
from perfkit.engine.plan import GenerationPlan, RowPlan
from perfkit.engine.turns import REPEAT, Turns, block_steps, fitting, palindrome_s

ARMS = ("real", "replay", "replay_running")
CONFIG = RunConfig(arch="x", num_workers=2, prefetch_factor=2)
BUSY = {"run_delay_s": 0.01, "workers_cores": 1.0}
QUIET = {"run_delay_s": 0.0, "workers_cores": 0.05}


def plan(**changes: Any) -> GenerationPlan:
    row = RowPlan(key="x/fp32", arch="x", variant="fp32", config=CONFIG)
    usual: dict[str, Any] = {
        "arms": ARMS, "palindromes": 6, "block_s": 0.45, "load_s": 2.0, "repeat_s": 3.0,
    }  # fmt: skip
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
        (32.01, BUSY, ARMS, ()),
        (31.99, BUSY, ARMS, ("load",)),
        (30.01, BUSY, ARMS, ("load",)),
        (29.99, BUSY, ARMS, ("load", REPEAT)),
        (30.01, QUIET, ARMS, ("load",)),
        (29.99, QUIET, ARMS[:2], ("replay_running", "load")),
        (21.01, QUIET, ARMS[:2], ("replay_running", "load")),
        (20.99, QUIET, ARMS[:2], ("replay_running", "load", REPEAT)),
        (18.01, QUIET, ARMS[:2], ("replay_running", "load", REPEAT)),
        (17.99, QUIET, ARMS[:1], ("replay", "replay_running", "load", REPEAT)),
        (27.01, BUSY, ARMS, ("load", REPEAT)),
        (26.99, BUSY, ARMS[:1], ("replay", "replay_running", "load", REPEAT)),
        (26.99, {}, ARMS[:1], ("replay", "replay_running", "load", REPEAT)),
    ],
)
def test_what_is_dropped_when_time_is_short(
    most_s: float, found: dict[str, float], arms: tuple[str, ...], dropped: tuple[str, ...]
) -> None:
    """The loader alone, the running arm if nobody waits for a core, evaluating again, all arms; never blocks.

    Six palindromes of three arms take 27 s, of two 18; the loader alone takes 2, and 3 are kept to evaluate
    again.
    """
    one = turns(most_s, **found)
    assert (one.arms, one.dropped, one.palindromes) == (arms, dropped, 6)
    assert one.load_s == (0.0 if "load" in dropped else 2.0)


@pytest.mark.parametrize(
    ("most_s", "repeat_s"), [(40.0, 11.0), (32.0, 3.0), (31.0, 4.0), (29.0, 0.0), (20.0, 0.0)]
)
def test_evaluating_again_may_take_what_is_left(most_s: float, repeat_s: float) -> None:
    """Beyond what is kept for it; nothing once it was dropped."""
    assert turns(most_s, **BUSY).repeat_s == pytest.approx(repeat_s)


def test_where_no_time_is_kept_evaluating_again_has_no_limit() -> None:
    """As in a bench."""
    one = fitting(plan(most_s=20.0, repeat_s=None), {"step_s": 0.05}, CONFIG, cores=2)
    assert one.repeat_s is None and REPEAT not in one.dropped


def test_steps_so_long_that_nothing_fits_are_still_timed() -> None:
    """One palindrome of the real arm at least, and no more than there is time for."""
    assert turns(45.0, step_s=2.0).palindromes == 2
    assert turns(1.0, step_s=60.0).palindromes == 1
    assert turns(1.0, step_s=60.0).arms == ("real",)


@pytest.mark.parametrize(
    ("accumulate", "pinned", "steps"),
    [(1, None, 9), (4, None, 12), (9, None, 9), (1, 10, 10), (4, 10, 12), (5, 10, 10)],
)
def test_a_block_is_whole_updates(accumulate: int, pinned: int | None, steps: int) -> None:
    """Nine steps of 50 ms or ten that were asked for, and as many more as the last update needs."""
    config = replace(CONFIG, num_workers=0, accumulate=accumulate)
    assert block_steps(plan(block_s=0.45, steps=pinned), 0.05, config) == steps
