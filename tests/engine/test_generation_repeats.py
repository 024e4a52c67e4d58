"""When blocks and edges are timed again: beside somebody else's load, on a throttled or a shared GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fake_nvml import FakeNvml
from fake_processes import FP32, World, blocks

from perfkit.engine import member
from perfkit.engine.events import TurnRepeated
from perfkit.engine.watch import MOST_REPEATS


def test_a_disturbed_block_is_repeated(run: Any) -> None:
    """Somebody else's load beside the first block: it is run once more, and only the second counts."""
    world = World(foreign_s=lambda turn: 2.0 if turn == 0 else 0.0)
    _, events = run(world, spare_s=10.0)
    assert len(blocks(world)) == 3
    (repeated,) = [event for event in events if isinstance(event, TurnRepeated)]
    assert repeated.foreign_cpu_s == pytest.approx(2.0)


def test_a_disturbance_that_stays_is_flagged(run: Any) -> None:
    """After two repeats the block counts as it is."""
    world = World(foreign_s=lambda turn: 2.0)
    _, events = run(world, spare_s=100.0, edges=False)
    assert len(blocks(world)) == 2 * (1 + MOST_REPEATS)
    assert sum(isinstance(event, TurnRepeated) for event in events) == 2 * MOST_REPEATS


def test_disturbed_edges_are_repeated(run: Any) -> None:
    """The edges of an epoch are timed like blocks: somebody else's load has them timed again."""
    world = World(foreign_s=lambda turn: 2.0 if turn == 2 else 0.0)
    _, events = run(world, spare_s=10.0)
    assert [do for _, do, _ in world.asked].count("edges") == 2
    assert sum(isinstance(event, TurnRepeated) for event in events) == 1


def heat(nvml: FakeNvml) -> None:
    nvml.slowed_ns[270] += 10**15


def slow_clock(nvml: FakeNvml) -> None:
    nvml.sm_clock_mhz = 1400


def stranger(nvml: FakeNvml) -> None:
    nvml.used.append((900, 2**62 + len(nvml.used), 50))


@pytest.mark.parametrize(
    ("disturb", "throttled", "share"),
    [(heat, True, 0.0), (slow_clock, True, 0.0), (stranger, False, 0.5)],
)
def test_a_block_on_a_gpu_that_was_disturbed_is_repeated(
    run: Any,
    monkeypatch: pytest.MonkeyPatch,
    disturb: Callable[[FakeNvml], None],
    throttled: bool,
    share: float,
) -> None:
    """The second block alone ran on a throttled or a shared GPU: it is run once more, and counts then."""
    monkeypatch.setattr("os.getpgid", lambda pid: pid)

    def on_gpu(nvml: FakeNvml, turn: int, pid: int) -> None:
        nvml.sm_clock_mhz = 1980
        nvml.used.append((pid, 2**62 + len(nvml.used), 60))
        if turn == 1:
            disturb(nvml)

    world = World(gpu=FakeNvml(), on_gpu=on_gpu)
    _, events = run(world, spare_s=10.0, edges=False)
    assert len(blocks(world)) == 3
    (repeated,) = [event for event in events if isinstance(event, TurnRepeated)]
    assert repeated == TurnRepeated(FP32, 0.0, share, throttled)


@pytest.mark.parametrize(("disturb", "flag"), [(heat, (False, True)), (stranger, (True, False))])
def test_a_gpu_that_stays_disturbed_is_flagged(
    run: Any,
    monkeypatch: pytest.MonkeyPatch,
    disturb: Callable[[FakeNvml], None],
    flag: tuple[bool, bool],
) -> None:
    """After two repeats each block counts as it is: shared, or throttled."""
    monkeypatch.setattr("os.getpgid", lambda pid: pid)
    watches: list[Any] = []
    collect = member.collect

    def collected(folder: Any, key: str, seen: Any, *rest: Any) -> Any:
        watches.extend(seen)
        return collect(folder, key, seen, *rest)

    def on_gpu(nvml: FakeNvml, turn: int, pid: int) -> None:
        nvml.used.append((pid, 2**62 + len(nvml.used), 60))
        disturb(nvml)

    monkeypatch.setattr(member, "collect", collected)
    world = World(gpu=FakeNvml(), on_gpu=on_gpu)
    run(world, spare_s=100.0, edges=False)
    assert [watch.number for watch in watches] == [3, 6]
    assert [(watch.disturbed, watch.throttled) for watch in watches] == [flag, flag]


@pytest.mark.parametrize(("spare_s", "run_in_all"), [(0.0, 2), (0.9, 2), (1.5, 3), (2.5, 4)])
def test_repeats_stay_within_what_is_spare(run: Any, spare_s: float, run_in_all: int) -> None:
    """A repeat that the budget does not hold is not run."""
    world = World(foreign_s=lambda turn: 2.0)
    run(world, spare_s=spare_s)
    assert len(blocks(world)) == run_in_all


def test_edges_that_were_answered_are_not_lost_with_their_repeat(run: Any) -> None:
    """A process that dies when its disturbed edges are timed again has answered them."""
    world = World(
        foreign_s=lambda turn: 2.0 if turn == 2 else 0.0, fails=(FP32, "edges"), fails_at=2
    )
    result, _ = run(world, spare_s=10.0, examine={})
    (process,) = result.processes
    assert [do for _, do, _ in world.asked].count("edges") == 2
    assert (process.status, process.lost) == ("ok", {"examine": "planted"})
