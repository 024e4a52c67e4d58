"""What a generation asks of its processes: how long blocks are, which there are, and in what order."""

from __future__ import annotations

from typing import Any

import pytest
from fake_engine import row
from fake_processes import AMP, FP32, TF32, World, blocks

from perfkit.engine.plan import Examine, GenerationPlan
from perfkit.engine.turns import LONGEST_BLOCK


def test_three_rows_make_a_palindrome(run: Any) -> None:
    """A B C C B A, and with two arms A a B b b B a A."""
    world = World()
    run(world, (FP32, AMP, TF32))
    assert [key for key, _ in blocks(world)] == [FP32, AMP, TF32, TF32, AMP, FP32]
    world = World()
    run(world, (FP32, AMP), arms=("real", "replay"))
    arms = [(key, told["arm"]) for key, do, told in world.asked if do == "block"]
    once = [(key, arm) for key in (FP32, AMP) for arm in ("real", "replay")]
    assert arms == once + once[::-1]


@pytest.mark.parametrize(
    ("step_s", "capacity", "steps"),
    [
        (0.01, 0, 100),  # a second of 10 ms steps
        (0.03, 0, 34),  # rounded up
        (2.0, 0, 5),  # never fewer than five
        (0.01, 120, 240),  # twice what the ready queue holds
        (0.1, 200, int(LONGEST_BLOCK * 10)),  # but no longer than three times the plan
    ],
)
def test_blocks_are_as_long_as_planned_and_past_the_queue(
    run: Any, step_s: float, capacity: int, steps: int
) -> None:
    """Length by the warm-up's step time, stretched to what a full queue could hide."""
    world = World(step_s=step_s)
    run(world, capacity=capacity, block_s=1.0)
    assert {count for _, count in blocks(world)} == {steps}


def test_pinned_steps_are_kept(run: Any) -> None:
    """--steps decides alone."""
    world = World(step_s=9.0)
    run(world, capacity=50, steps=7)
    assert {count for _, count in blocks(world)} == {7}


def test_beside_other_arms_blocks_are_equal_in_time(run: Any) -> None:
    """Seconds and not steps, which take each arm another time; then the loader alone."""
    world = World()
    result, _ = run(world, arms=("real", "replay", "replay_running"), block_s=0.4, load_s=2.0)
    sizes = [told for _, do, told in world.asked if do == "block"]
    assert [told["arm"] for told in sizes] == [
        "real", "replay", "replay_running", "replay_running", "replay", "real",
    ]  # fmt: skip
    assert all(told["seconds"] == 0.4 and "steps" not in told for told in sizes)
    assert [do for _, do, _ in world.asked][-3:] == ["load", "edges", "quit"]
    assert (result.dropped, result.palindromes) == ((), 1)


def test_arms_for_which_there_is_no_time_are_dropped(run: Any) -> None:
    """By what the warm-up measured: six palindromes of steps of 2 s do not fit into a minute."""
    world = World(step_s=2.0)
    arms = ("real", "replay", "replay_running")
    times: dict[str, Any] = {"block_s": 0.4, "load_s": 2.0, "repeat_s": 3.0, "most_s": 60.0}
    result, _ = run(world, arms=arms, palindromes=6, **times)
    sizes = [told for _, do, told in world.asked if do == "block"]
    assert {told["arm"] for told in sizes} == {"real"}
    assert all(told["steps"] == 5 for told in sizes)
    assert result.dropped == ("replay", "replay_running", "load", "evaluation_repeat")
    assert [told for _, do, told in world.asked if do == "edges"] == [{"repeat_s": 0.0}]
    assert result.palindromes == 3


def test_all_quit_before_any_is_ended(run: Any) -> None:
    """They leave side by side, and nobody waits for an exit."""
    world = World()
    run(world, (FP32, AMP), edges=False)
    leaving = world.told[world.told.index(f"quit {FP32}") :]
    assert leaving[:6] == [f"{how} {key}" for how in ("quit", "kill", "end") for key in (FP32, AMP)]


@pytest.mark.parametrize("side_by_side", [True, False])
def test_a_reversed_generation_runs_its_rows_last_to_first(run: Any, side_by_side: bool) -> None:
    """In every stage; the results are in the plan's order, and so are the folders."""
    world = World()
    plan = {"full_epoch": True, "examine": {}, "side_by_side": side_by_side}
    result, _ = run(world, (FP32, AMP, TF32), reverse=True, **plan)
    backwards = [TF32, AMP, FP32]
    for do in ("warm_up", "edges", "epoch", "examine", "quit"):
        assert [key for key, asked, _ in world.asked if asked == do] == backwards
    blocks_of = [key for key, _ in blocks(world)]
    palindrome = [*backwards, *backwards[::-1]]
    assert blocks_of == (palindrome if side_by_side else sorted(palindrome, key=backwards.index))
    assert [p.key for p in result.processes] == backwards[::-1]
    assert [p.folder[-3:] for p in result.processes] == ["1-0", "1-1", "1-2"]


def test_what_is_not_planned_is_not_asked(run: Any) -> None:
    """No edges, no examination, no real epoch: warm-up, blocks and the end."""
    world = World()
    run(world, edges=False)
    assert [do for _, do, _ in world.asked] == ["warm_up", "block", "block", "quit"]
    world = World()
    run(world, full_epoch=True, examine={FP32: Examine(seed=3, perturbations=(0.5,))})
    assert [do for _, do, _ in world.asked][3:] == ["edges", "epoch", "examine", "quit"]
    assert world.asked[-2][2] == {"seed": 3, "perturbations": [0.5]}


def test_a_generation_has_room_for_four() -> None:
    """No rows, five rows or no palindrome are a mistake of whoever plans."""
    rows = tuple(row(f"x/fp32+batch_size={n + 1}") for n in range(5))
    for wrong in ({"rows": ()}, {"rows": rows}, {"rows": rows[:1], "palindromes": 0}):
        with pytest.raises(ValueError):
            GenerationPlan(number=1, group=0, **wrong)  # type: ignore[arg-type]
