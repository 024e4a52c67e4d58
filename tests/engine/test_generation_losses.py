"""What a generation loses: with a process that fails, a log that cannot be written, an interrupt."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from fake_processes import AMP, FP32, World

from perfkit.engine import member
from perfkit.engine.events import PartLost, ProcessFailed
from perfkit.engine.member import QUIT_S
from perfkit.errors import NO_SPACE, PerfkitError
from perfkit.jsonlines import JsonLines


def test_a_loader_that_fails_alone_is_lost_alone(run: Any) -> None:
    """The blocks are timed by then."""
    world = World(fails=(FP32, "load"), status="killed")
    result, _ = run(world, arms=("real", "replay"), load_s=2.0)
    (process,) = result.processes
    assert process.status == "ok"
    assert process.unavailable["loader_samples_per_sec"] == "killed"


def test_a_process_that_failed_is_asked_nothing_more(run: Any) -> None:
    """The row that fails in its first block has no second, no edges and no end to be told."""
    world = World(fails=(AMP, "block"))
    result, events = run(world, (FP32, AMP), examine={})
    assert [do for key, do, _ in world.asked if key == AMP] == ["warm_up", "block"]
    asked = [do for key, do, _ in world.asked if key == FP32]
    assert asked == ["warm_up", "block", "block", "edges", "examine", "quit"]
    assert [process.status for process in result.processes] == ["ok", "oom"]
    assert [event.key for event in events if isinstance(event, ProcessFailed)] == [AMP]


LATER = ["edges", "epoch", "examine"]

PARTS = ["edges", "full_epoch", "examine"]


@pytest.mark.parametrize(
    ("status", "reason"),
    [("oom", "no_memory"), ("timeout", "timeout"), ("killed", "killed"), ("error", "failed")],
)
@pytest.mark.parametrize("at", LATER)
def test_what_follows_the_blocks_cannot_lose_the_row(
    run: Any, at: str, status: Any, reason: str
) -> None:
    """The row is ok; what was asked for then and later is missing, with why; the other row has it all."""
    world = World(fails=(AMP, at), status=status)
    result, events = run(world, (FP32, AMP), full_epoch=True, examine={})
    fine, hurt = result.processes
    assert [(p.status, p.message) for p in (fine, hurt)] == [("ok", None)] * 2
    missing = PARTS[LATER.index(at) :]
    assert hurt.lost == dict.fromkeys(missing, "planted")
    assert hurt.unavailable == dict.fromkeys(missing, reason)
    assert (fine.lost, fine.unavailable) == ({}, {})
    # it is not asked again, nor told to quit: it is gone
    asked = [do for key, do, _ in world.asked if key == AMP]
    assert asked == ["warm_up", "block", "block", *LATER[: LATER.index(at) + 1]]
    assert not any(isinstance(event, ProcessFailed) for event in events)
    told = [(e.key, e.part, e.message) for e in events if isinstance(e, PartLost)]
    assert told == [(AMP, part, "planted") for part in missing]


def test_a_process_that_does_not_quit_has_lost_nothing(run: Any) -> None:
    """It is waited for a few seconds, whatever the timeout; the failure is in its log and nowhere else."""
    world = World(fails=(FP32, "quit"), status="timeout")
    result, events = run(world, (FP32, AMP))
    for process in result.processes:
        assert (process.status, process.lost, process.unavailable) == ("ok", {}, {})
    assert 0 < world.waited_s["quit"] <= QUIT_S < 60
    assert not any(isinstance(event, (PartLost, ProcessFailed)) for event in events)
    assert [do for key, do, _ in world.asked if do == "quit"] == ["quit", "quit"]


@pytest.mark.parametrize("turns", range(1, 9))
def test_a_baton_that_cannot_be_written_down(
    run: Any, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """Before the blocks are timed it ends the generation; after that, measured is measured."""
    written = []

    def append(log: JsonLines, item: dict[str, Any]) -> None:
        written.append(item["what"])
        if len(written) >= turns:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(JsonLines, "append", append)
    world = World()
    # two warm-ups, four blocks, then edges
    if turns <= 6:
        with pytest.raises(PerfkitError, match="cannot write") as caught:
            run(world, (FP32, AMP))
        assert caught.value.hint == "free some space"
    else:
        result, _ = run(world, (FP32, AMP), examine={})
        assert world.generation is not None and world.generation.problem is not None
        fp32, amp = result.processes
        assert (fp32.status, amp.status) == ("ok", "ok")
        assert set(fp32.lost) == {"examine"}
        assert set(amp.lost) == ({"edges", "examine"} if turns == 7 else {"examine"})
        assert amp.unavailable["examine"] == "failed"
    assert len(written) == turns
    assert {f"end {FP32}", f"end {AMP}"} <= set(world.told)


def test_no_space_for_what_follows_is_told_to_whoever_stores(run: Any) -> None:
    """A process that could not write down its edges: the row is ok, and the study should not go on."""
    world = World(fails=(AMP, "edges"), status="error", message=f"{NO_SPACE}: x")
    result, _ = run(world, (FP32, AMP))
    assert [p.status for p in result.processes] == ["ok", "ok"]
    assert world.generation is not None and NO_SPACE in str(world.generation.problem)
    world = World(fails=(AMP, "edges"), status="error")
    run(world, (FP32, AMP))
    assert world.generation is not None and world.generation.problem is None


@pytest.mark.parametrize("left", [3, 0])
@pytest.mark.parametrize("partial", [True, False])
def test_what_an_interrupt_leaves(run: Any, monkeypatch: Any, left: int, partial: bool) -> None:
    """Where the plan says so, the blocks that were timed and what was not; read once nothing runs."""
    seen, collect = [], member.collect

    def collected(*told: Any) -> Any:
        assert f"end {FP32}" in world.told
        seen.append((len(told[2]), {part: lost.reason for part, lost in told[-1].items()}))
        return collect(*told)

    def press(turn: int) -> float:
        if turn == left:
            raise KeyboardInterrupt
        return 0.0

    monkeypatch.setattr(member, "collect", collected)
    world = World(foreign_s=press)
    with pytest.raises(KeyboardInterrupt):
        run(world, arms=("real", "replay"), profile=True, partial=partial)
    assert (world.generation.unfinished is not None) is bool(partial and left)
    lost = {"edges": "interrupted", "burst": "interrupted"}
    assert seen == ([(left, lost)] if partial and left else [])
