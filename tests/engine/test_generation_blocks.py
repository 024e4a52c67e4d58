"""What a generation asks of its processes: how long blocks are, and when one is repeated."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from fake_engine import row
from fake_nvml import UUID, FakeNvml

from perfkit.document import Status
from perfkit.engine import member
from perfkit.engine.events import Event, PartLost, ProcessFailed, TurnRepeated
from perfkit.engine.generation import Generation
from perfkit.engine.member import QUIT_S
from perfkit.engine.plan import Examine, GenerationPlan
from perfkit.engine.process import Failed
from perfkit.engine.results import GenerationResult
from perfkit.engine.turns import LONGEST_BLOCK
from perfkit.engine.watch import MOST_REPEATS
from perfkit.errors import NO_SPACE, PerfkitError
from perfkit.jsonlines import JsonLines
from perfkit.runfolder import RunFolder, StudyFolder
from perfkit.telemetry.gpu import GpuGauge
from perfkit.telemetry.host import HostSnapshot
from perfkit.telemetry.nvml import Nvml
from perfkit.telemetry.proc import CpuTimes

FP32, AMP, TF32 = "x/fp32", "x/amp", "x/tf32"
BLOCK_S = 1.0


@dataclass
class World:
    """Processes and a machine that do exactly what a test says."""

    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """(key, command, arguments), in order."""
    step_s: float = 0.01
    foreign_s: Callable[[int], float] = lambda turn: 0.0
    """CPU seconds of somebody else's beside the n-th block or edge that was timed, from 0."""
    fails: tuple[str, str] | None = None
    """(key, command) that ends in a failure."""
    fails_at: int = 1
    """At the how-manieth time that it is asked for."""
    status: Status = "oom"
    message: str = "planted"
    generation: Generation | None = None
    told: list[str] = field(default_factory=list)
    """Commands and kills, in order."""
    waited_s: dict[str, float] = field(default_factory=dict)
    """By what was waited for, the limit."""
    gpu: FakeNvml | None = None
    on_gpu: Callable[[FakeNvml, int, int], None] = lambda nvml, turn, pid: None
    """What the n-th block or edge that was timed, of that process, makes the GPU tell."""
    timed: int = 0
    now_s: float = 0.0
    busy_s: float = 0.0

    def snapshot(self, groups: Any = ()) -> HostSnapshot:
        total_s = 2 * self.now_s + 1
        return HostSnapshot(
            t_ns=round(self.now_s * 1e9),
            booted_s=self.now_s,
            cpus=(0, 1),
            cpu=CpuTimes(busy_s=self.busy_s, total_s=total_s),
        )

    def process(self, folder: RunFolder, key: str) -> Any:
        return _Process(self, folder, key, len(self.asked))


@dataclass
class _Process:
    world: World
    folder: RunFolder
    key: str
    pid: int
    failure: Failed | None = None

    def wait_for(self, event: str, timeout_s: float, *, what: str) -> dict[str, Any]:
        self.world.waited_s[what] = timeout_s
        self._may_fail(what)
        return {"environment": {}}

    def ask(self, timeout_s: float, do: str, **arguments: Any) -> dict[str, Any]:
        self.world.asked.append((self.key, do, arguments))
        self.world.told.append(f"{do} {self.key}")
        self._may_fail(do)
        if do in ("block", "edges"):
            self.world.busy_s += self.world.foreign_s(self.world.timed)
            if self.world.gpu is not None:
                self.world.on_gpu(self.world.gpu, self.world.timed, self.pid)
            self.world.timed += 1
            self.world.now_s += BLOCK_S
        return {"step_s": self.world.step_s, **arguments}

    def send(self, do: str, **arguments: Any) -> None:
        self.world.asked.append((self.key, do, arguments))
        self.world.told.append(f"{do} {self.key}")

    def _may_fail(self, do: str) -> None:
        asked = [what for key, what, _ in self.world.asked if key == self.key].count(do)
        if self.world.fails == (self.key, do) and asked == self.world.fails_at:
            self.failure = Failed(self.world.status, self.world.message)
            raise self.failure

    def go_on(self) -> None: ...
    def stop(self) -> None: ...

    def kill(self) -> None:
        self.world.told.append(f"kill {self.key}")

    def end(self) -> None:
        self.world.told.append(f"end {self.key}")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a generation in a world of its own; returns its result and the events."""

    def carry_out(
        world: World, keys: tuple[str, ...] = (FP32,), capacity: int = 0, **plan: Any
    ) -> tuple[GenerationResult, list[Event]]:
        monkeypatch.setattr("perfkit.engine.generation.TrainingProcess", world.process)
        events: list[Event] = []
        gpu_gauge = GpuGauge(lambda: Nvml(world.gpu))
        if world.gpu is not None:
            gpu_gauge.watch(UUID)
        rows = tuple(map(row, keys))
        rows = tuple(
            replace(r, config=replace(r.config, num_workers=1, prefetch_factor=capacity or 1))
            for r in rows
        )
        generation = Generation(
            StudyFolder.create("bench", root=tmp_path),
            GenerationPlan(number=1, group=0, rows=rows, **{"palindromes": 1, **plan}),
            timeout_s=60,
            gauge=world,  # type: ignore[arg-type]
            gpu_gauge=gpu_gauge,
            emit=events.append,
            on_ready=lambda environment: None,
        )
        world.generation = generation
        return generation.run(), events

    return carry_out


def blocks(world: World) -> list[tuple[str, int]]:
    return [(key, told["steps"]) for key, do, told in world.asked if do == "block"]


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


def test_a_loader_that_fails_alone_is_lost_alone(run: Any) -> None:
    """The blocks are timed by then."""
    world = World(fails=(FP32, "load"), status="killed")
    result, _ = run(world, arms=("real", "replay"), load_s=2.0)
    (process,) = result.processes
    assert process.status == "ok"
    assert process.unavailable["loader_samples_per_sec"] == "killed"


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


def test_edges_that_were_answered_are_not_lost_with_their_repeat(run: Any) -> None:
    """A process that dies when its disturbed edges are timed again has answered them."""
    world = World(
        foreign_s=lambda turn: 2.0 if turn == 2 else 0.0, fails=(FP32, "edges"), fails_at=2
    )
    result, _ = run(world, spare_s=10.0, examine={})
    (process,) = result.processes
    assert [do for _, do, _ in world.asked].count("edges") == 2
    assert (process.status, process.lost) == ("ok", {"examine": "planted"})


def test_a_process_that_does_not_quit_has_lost_nothing(run: Any) -> None:
    """It is waited for a few seconds, whatever the timeout; the failure is in its log and nowhere else."""
    world = World(fails=(FP32, "quit"), status="timeout")
    result, events = run(world, (FP32, AMP))
    for process in result.processes:
        assert (process.status, process.lost, process.unavailable) == ("ok", {}, {})
    assert 0 < world.waited_s["quit"] <= QUIT_S < 60
    assert not any(isinstance(event, (PartLost, ProcessFailed)) for event in events)
    assert [do for key, do, _ in world.asked if do == "quit"] == ["quit", "quit"]


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


def test_what_is_not_planned_is_not_asked(run: Any) -> None:
    """No edges, no examination, no real epoch: warm-up, blocks and the end."""
    world = World()
    run(world, edges=False)
    assert [do for _, do, _ in world.asked] == ["warm_up", "block", "block", "quit"]
    world = World()
    run(world, full_epoch=True, examine={FP32: Examine(seed=3, perturbations=(0.5,))})
    assert [do for _, do, _ in world.asked][3:] == ["edges", "epoch", "examine", "quit"]
    assert world.asked[-2][2] == {"seed": 3, "perturbations": [0.5]}


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


def test_a_generation_has_room_for_four() -> None:
    """No rows, five rows or no palindrome are a mistake of whoever plans."""
    rows = tuple(row(f"x/fp32+batch_size={n + 1}") for n in range(5))
    for wrong in ({"rows": ()}, {"rows": rows}, {"rows": rows[:1], "palindromes": 0}):
        with pytest.raises(ValueError):
            GenerationPlan(number=1, group=0, **wrong)  # type: ignore[arg-type]
