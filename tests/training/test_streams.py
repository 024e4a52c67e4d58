"""Training sets that give a stream: the same blocks, edges and losses, without drawing a batch by number."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import BATCH, Seen, let_go, loop_of, run_folder, use
from torch.utils.data import IterableDataset, get_worker_info

from perfkit.training import losses
from perfkit.training.arms import Real
from perfkit.training.commands import Commands
from perfkit.training.edges import PARTS_OF_A_STREAM, Edges
from perfkit.training.loading import epoch_loader, first_batch, make_loader, make_order
from perfkit.training.loop import Loop
from perfkit.training.parts import Parts
from perfkit.training.probe import worker

LENGTH = 72


class Numbers(IterableDataset[tuple[torch.Tensor, int]]):
    """Samples that hold their own number; with several workers each gives its part of them."""

    def __init__(self, length: int = LENGTH) -> None:
        self._length = length

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        info = get_worker_info()
        first, every = (0, 1) if info is None else (info.id, info.num_workers)
        for number in range(first, self._length, every):
            yield torch.full((8,), float(number)), number % 4


class Once(Numbers):
    """A stream that is used up when it was iterated."""

    def __init__(self) -> None:
        super().__init__()
        self._samples = super().__iter__()

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        return self._samples


def stream_loop(path: Path, patch: pytest.MonkeyPatch, **settings: Any) -> Loop:
    use(patch, dataset=Numbers(), length=LENGTH)
    return loop_of(path, **{"num_samples": LENGTH, **settings})


def real_of(loop: Loop) -> Real:
    training = loop.training
    order = make_order(training.config, training.workload)
    return Real(make_loader(training.config, training.workload, order))


def numbers_in(batch: Any) -> list[int]:
    return [int(number) for number in batch[0][:, 0]]


def test_blocks_draw_whole_batches_past_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream begins anew where it ends, in the middle of a batch."""
    real = real_of(stream_loop(tmp_path, monkeypatch))
    drawn = [numbers_in(real.next()) for _ in range(9)]
    again = itertools.cycle(range(LENGTH))
    assert drawn == [list(itertools.islice(again, BATCH)) for _ in range(9)]


def test_every_worker_begins_its_own_part_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers: even and odd numbers in turns, 36 of each."""
    real = real_of(stream_loop(tmp_path, monkeypatch, num_workers=2))
    drawn = [numbers_in(real.next()) for _ in range(6)]
    let_go(real)
    even, odd = (itertools.cycle(range(first, LENGTH, 2)) for first in (0, 1))
    assert drawn == [list(itertools.islice(part, BATCH)) for _ in range(3) for part in (even, odd)]


def test_a_worker_without_a_part_leaves_the_others_going(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream of one sample has none for the second worker."""
    use(monkeypatch, dataset=Numbers(1), length=1)
    real = real_of(loop_of(tmp_path, num_samples=1, num_workers=2))
    drawn = [numbers_in(real.next()) for _ in range(5)]
    let_go(real)
    assert drawn == [[0]] * 5


def test_a_stream_that_is_used_up_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where iterating it again gives nothing, no epoch could follow the first."""
    use(monkeypatch, dataset=Once(), length=LENGTH)
    real = real_of(loop_of(tmp_path, num_samples=LENGTH))
    for _ in range(LENGTH // BATCH):
        real.next()
    with pytest.raises(RuntimeError, match="the Once gives its samples once"):
        real.next()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_edges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """Their partial batch is known where there is one shard: with two workers each ends as its part does."""
    loop = stream_loop(tmp_path, monkeypatch, num_workers=workers)
    training = loop.training
    order = make_order(training.config, training.workload)
    loader = make_loader(training.config, training.workload, order)
    real = Real(loader)
    parts = Parts()
    found = Edges(loop, real, loader, order, str(tmp_path)).measure(parts)
    let_go(real)
    steps = found["pass_steps"]
    assert found["epoch_start"] > 0 and steps == 4
    model = training.model
    assert isinstance(model, Seen)
    if workers < 2:
        assert model.batches == [BATCH] * 2 * steps + [8, 8]
        assert parts.answer() == {"lost": {}, "unavailable": {}}
    else:
        assert model.batches == [BATCH] * 2 * steps and "partial_batch" not in found
        assert parts.unavailable == {"partial_batch": "not_supported"}
        assert parts.lost == {"partial_batch": PARTS_OF_A_STREAM}


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        ({}, [16, 16, 16, 16, 8]),
        ({"num_workers": 2}, [16, 16, 16, 16, 4, 4]),
        ({"num_workers": 2, "persistent_workers": False}, [16, 16, 16, 16, 4, 4]),
        ({"num_samples": 40}, [16, 16, 16]),
    ],
)
def test_a_real_epoch_goes_to_the_end_of_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], sizes: list[int]
) -> None:
    """Or to so many samples as an epoch is said to have; again and again."""
    training = stream_loop(tmp_path, monkeypatch, **settings).training
    loader: Any = epoch_loader(training.config, training.workload)
    for _ in range(2):
        assert [len(batch[0]) for batch in loader] == sizes
    loader._iterator = None


def test_losses_are_those_of_a_stream_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever has been taken from it before; another seed has other weights, so other losses."""
    loop = stream_loop(tmp_path, monkeypatch)
    first = losses.trace(loop, 0)
    loop.run(real_of(loop), 3)
    assert losses.trace(loop, 0) == first
    assert losses.trace(loop, 1) != first
    batches = losses._batches(loop.training.workload, BATCH)
    assert [numbers_in(batch) for batch in batches] == [list(range(16)), list(range(16, 32))]


def test_the_first_batch_is_the_stream_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lazy layers are initialised with; a short stream has a short one."""
    training = stream_loop(tmp_path, monkeypatch).training
    assert numbers_in(first_batch(training.config, training.workload)) == list(range(16))
    short = replace(training.workload, dataset=Numbers(5), length=5)
    assert numbers_in(first_batch(training.config, short)) == list(range(5))


def test_every_command_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arms, the loader alone, edges, a real epoch and losses, of a stream in two workers."""
    use(monkeypatch, dataset=Numbers(), length=LENGTH)
    commands = Commands(run_folder(tmp_path, num_samples=LENGTH, num_workers=2))
    try:
        commands.do_warm_up(0.0)
        arms = ("real", "replay", "replay_running")
        blocks = [commands.do_block(n, arm, seconds=0.01) for n, arm in enumerate(arms, start=1)]
        assert all(block["result"]["steps"] > 0 for block in blocks)
        assert commands.do_load(0.01)["samples_per_sec"] > 0
        assert commands.do_edges()["edges"]["epoch_start"] > 0
        assert commands.do_epoch()["epoch_s"] > 0
        examined = commands.do_examine(0, [1e-3])
        assert len(examined["losses"]["0"]) == losses.STEPS and examined["lost"] == {}
        assert examined["flops_per_sample"] > 0
    finally:
        commands.do_quit()
        let_go(commands._real)
        worker.uninstall()
