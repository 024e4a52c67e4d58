"""How blocks of different arms get their batches, and what is told of each."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from small_training import config, let_go, loop_of, use
from torch.utils.data import DataLoader, Dataset

from perfkit.stats import LEAST_STEPS
from perfkit.training import arms
from perfkit.training.arms import REPLAYED_BATCHES, BatchesChanged, Real, Replay
from perfkit.training.blocks import ArmBlocks, cpu_s_of, loader_alone
from perfkit.training.loading import BatchOrder, make_loader


class Pair(NamedTuple):
    left: torch.Tensor
    right: torch.Tensor


class Listed:
    """An iterable of given batches, with a queue whose state the test decides."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches
        self.taken = 0
        self.there = 0

    def real(self) -> Real:
        real = Real(DataLoader([0]))  # type: ignore[arg-type]
        real.next = self._next
        real.ready = lambda: self.there
        real.depth = lambda: 2
        return real

    def _next(self) -> Any:
        self.taken += 1
        return self.batches[(self.taken - 1) % len(self.batches)]


def tensors(count: int = 8) -> list[Any]:
    return [torch.full((2,), float(number)) for number in range(count)]


def test_replay_gives_the_same_batches_in_turn() -> None:
    """Primed once, from the loader; after that the loader is left alone."""
    listed = Listed(tensors())
    replay = Replay(listed.real(), running=False)
    replay.prime()
    replay.prime()
    given = [replay.next() for _ in range(2 * REPLAYED_BATCHES)]
    assert listed.taken == REPLAYED_BATCHES
    assert [int(batch[0]) for batch in given] == [0, 1, 2, 3, 0, 1, 2, 3]
    assert given[0] is given[REPLAYED_BATCHES]


def test_a_running_arm_takes_one_batch_a_step_and_never_waits_for_it() -> None:
    """Only the next in order, only if it is there; how many and how long is told."""
    listed = Listed(tensors())
    replay = Replay(listed.real(), running=True)
    replay.prime()
    for there in (0, 1, -1, 1):
        listed.there = there
        replay.next()
    assert listed.taken == REPLAYED_BATCHES + 2
    assert replay.drained == 2
    assert replay.drain_s > 0


def test_containers_are_the_loop_s_own_and_tensors_are_not_copied() -> None:
    """A loop that pops from a dict or appends to a list finds them whole the next time."""
    inner = torch.zeros(2)
    listed = Listed([{"images": [inner], "pair": Pair(inner, inner), "name": "x"}])
    replay = Replay(listed.real(), running=False)
    replay.prime()
    first = replay.next()
    assert first["images"][0] is inner
    assert type(first["pair"]) is Pair
    first["images"].append(1)
    first.pop("name")
    for _ in range(REPLAYED_BATCHES - 1):
        replay.next()
    assert replay.next()["images"] == [inner]
    assert set(replay.next()) == {"images", "pair", "name"}


@pytest.mark.parametrize("change", [
    lambda batch: batch["x"].add_(1),
    lambda batch: batch["more"][0].zero_(),
])  # fmt: skip
def test_a_loop_that_changes_its_batches_is_not_replayed(change: Any) -> None:
    """Written to in place, a batch is not the one that training sees."""
    listed = Listed([{"x": torch.zeros(2), "more": (torch.ones(2),)} for _ in range(8)])
    replay = Replay(listed.real(), running=False)
    replay.prime()
    change(replay.next())
    for _ in range(REPLAYED_BATCHES - 1):
        replay.next()
    with pytest.raises(BatchesChanged, match="in place"):
        replay.next()


def test_idle_begins_when_the_queue_is_full() -> None:
    """The block waits for the workers to have filled it; beside running ones it does not."""
    listed = Listed(tensors())
    real = listed.real()
    depths = iter([0, 1, 1, 2])
    asked = []

    def depth() -> int:
        asked.append(next(depths))
        return asked[-1]

    real.depth = depth
    Replay(real, running=True).rest(2)
    assert asked == []
    Replay(real, running=False).rest(2)
    assert asked == [0, 1, 1, 2]
    real.depth = lambda: -1
    Replay(real, running=False).rest(2)


class Slow(Dataset[tuple[torch.Tensor, int]]):
    """Samples that a worker computes for some time."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        for _ in range(20):
            torch.randn(2000).sort()
        return torch.zeros(8), index % 4


def test_blocks_of_arms_tell_what_was_spent_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run-in before each, no extensions; workers compute in the running arm and rest in the idle one."""
    use(monkeypatch, dataset=Slow())
    loop = loop_of(tmp_path, num_workers=2)
    loader = make_loader(config(num_workers=2), loop.training.workload, BatchOrder(config()))
    sources = arms.make(loader)
    real = sources["real"]
    assert isinstance(real, Real)
    blocks = ArmBlocks(loop, real, capacity=4)
    try:
        real.start()
        found = {
            name: blocks.time(number, sources[name], 0.05)
            for number, name in enumerate(("real", "replay", "replay_running"))
        }
        for name, one in found.items():
            assert one.block.extensions == 0
            assert one.block.steps >= LEAST_STEPS
            assert (one.drained > 0) <= (name == "replay_running")
        assert loop.recorder.steps == sum(one.block.steps + 6 for one in found.values())
        spent = [found[name].workers_cpu_s for name in ("real", "replay")]
        if spent[0] is not None and spent[1] is not None:
            assert spent[0] > spent[1]
    finally:
        let_go(real)


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="no schedstat here")
def test_cpu_time_of_a_process_is_that_of_its_threads() -> None:
    """Another thread's work counts; a process that is gone makes the sum unknown."""
    before = cpu_s_of([os.getpid()])
    stop = threading.Event()
    threads = [
        threading.Thread(target=lambda: sum(range(10**6)) and stop.wait(60)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    after = cpu_s_of([os.getpid()])
    stop.set()
    for thread in threads:
        thread.join()
    assert before is not None and after is not None and after > before
    assert cpu_s_of([]) == 0.0
    assert cpu_s_of([2**22 + 1]) is None


def test_the_loader_alone_gives_what_it_makes_and_not_what_was_ready() -> None:
    """The queue is emptied first; at least one batch is waited for."""
    listed = Listed(tensors())
    batches, elapsed_s = loader_alone(listed.real(), 0.0, capacity=3)
    assert (batches, listed.taken) == (1, 4)
    assert elapsed_s >= 0
