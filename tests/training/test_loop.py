"""The one loop: steps that are recorded, blocks that are run again until steady, losses that are watched."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import BATCH, loop_of, records, source_of, use
from torch import nn

from perfkit.training import loop as module
from perfkit.training.failures import BadLoss
from perfkit.training.loading import BatchOrder, make_loader
from perfkit.training.loop import (
    DIVERGED,
    EXTENSIONS,
    WARM_STEPS,
    WARM_STEPS_MOST,
)


class Scripted(nn.Module):
    """A loss that takes the values it is given, one a step, and stays at the last."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = list(values)

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        return outputs.sum() * 0 + value


def agreeing(patch: pytest.MonkeyPatch, *answers: bool) -> list[int]:
    """Have the halves of blocks agree as told; returns how many steps each was judged by."""
    judged, left = [], list(answers)

    def halves_agree(times: list[float]) -> bool:
        judged.append(len(times))
        return left.pop(0)

    patch.setattr(module, "halves_agree", halves_agree)
    return judged


def test_a_loop_trains_as_a_plain_loop_does(tmp_path: Path, patch: Any) -> None:
    """After ten steps the weights are those of ten steps written out by hand, bit for bit."""
    loop = loop_of(tmp_path, learning_rate=0.1)
    plain = nn.Linear(8, 4)
    plain.load_state_dict(loop.training.model.state_dict())
    loop.run(source_of(loop), 10)
    config, workload = loop.training.config, loop.training.workload
    batches = iter(make_loader(config, workload, BatchOrder(config)))
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    for _ in range(10):
        inputs, targets = next(batches)
        nn.functional.cross_entropy(plain(inputs), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    assert torch.equal(loop.training.model.weight, plain.weight)  # type: ignore[arg-type]


def test_every_step_is_recorded_in_its_block(tmp_path: Path, patch: Any) -> None:
    """Steps of a block carry its number, those outside none; every phase has been seen."""
    agreeing(patch, True)
    loop = loop_of(tmp_path)
    source = source_of(loop)
    loop.run(source, 3)
    found = loop.block(7, source, 5)
    loop.run(source, 2)
    assert [r.block for r in records(loop)] == [-1] * 3 + [7] * 5 + [-1] * 2
    assert (found.first_step, found.steps, found.extensions, found.steady) == (3, 5, 0, True)
    for record in records(loop):
        assert record.samples == BATCH
        phases = (record.data_wait_s, record.h2d_s, record.forward_s, record.backward_s)
        assert all(value >= 0 for value in (*phases, record.optimizer_s))
        assert sum(phases) + record.optimizer_s <= record.step_s


def test_a_block_holds_its_steps(tmp_path: Path, patch: Any) -> None:
    """The steps' own times lie within the block's two readings of the clock."""
    agreeing(patch, True)
    loop = loop_of(tmp_path)
    found = loop.block(1, source_of(loop), 6)
    steps = records(loop)
    assert found.start_ns <= steps[0].start_ns
    assert steps[-1].start_ns + steps[-1].step_s * 1e9 <= found.end_ns + 1
    assert sum(r.step_s for r in steps) <= (found.end_ns - found.start_ns) * 1e-9


def test_an_unsteady_block_is_run_again(tmp_path: Path, patch: Any) -> None:
    """The first run does not count; the block is the second one, judged by its own steps only."""
    judged = agreeing(patch, False, True)
    loop = loop_of(tmp_path)
    found = loop.block(1, source_of(loop), 6)
    assert judged == [6, 6]
    assert (found.extensions, found.steady, found.unsteady_because) == (1, True, None)
    assert (found.first_step, found.steps, len(records(loop))) == (6, 6, 12)


def test_a_block_that_stays_unsteady_is_flagged(tmp_path: Path, patch: Any) -> None:
    """Two extensions and no more: then the block counts, and says why it should be doubted."""
    agreeing(patch, *[False] * 9)
    loop = loop_of(tmp_path)
    found = loop.block(1, source_of(loop), 4)
    assert EXTENSIONS == 2
    assert (found.extensions, found.steady) == (2, False)
    assert found.unsteady_because == "its halves disagree"
    assert (found.first_step, len(records(loop))) == (8, 12)


@pytest.mark.parametrize(("grown", "why"), [((8, 1), "recompiled"), ((9, 0), "the allocator grew")])
@pytest.mark.parametrize("once", [True, False])
def test_a_block_in_which_something_was_set_up_is_run_again(
    tmp_path: Path, patch: Any, grown: tuple[int, int], why: str, once: bool
) -> None:
    """A graph compiled or a segment allocated inside makes a block unsteady, whatever its halves say."""
    agreeing(patch, *[True] * 9)
    loop = loop_of(tmp_path)
    # read before and after each run of the block
    readings = iter([(8, 0), grown, grown, grown] if once else [(8, 0), grown] * 3)
    patch.setattr(loop, "_set_up_so_far", lambda: next(readings))
    found = loop.block(1, source_of(loop), 4)
    assert (found.steady, found.extensions) == (once, 1 if once else EXTENSIONS)
    assert found.unsteady_because == (None if once else why)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_ends_the_block(tmp_path: Path, patch: Any, value: float) -> None:
    """NaN and infinity are typed errors that say after how many steps."""
    use(patch, loss=Scripted(1.0, 1.0, value))
    loop = loop_of(tmp_path)
    with pytest.raises(BadLoss, match=r"after \d+ steps"):
        loop.block(1, source_of(loop), 4)
    assert loop.recorder.block == -1


def test_a_loss_that_diverges_ends_the_block(tmp_path: Path, patch: Any) -> None:
    """A hundred times the first loss is past every bound; just below is not."""
    use(patch, loss=Scripted(2.0, 2.0 * DIVERGED, 2.0 * DIVERGED * 1.01))
    loop = loop_of(tmp_path)
    source = source_of(loop)
    for _ in range(2):
        loop.run(source, 1)
        loop.check_loss()
    loop.run(source, 1)
    with pytest.raises(BadLoss, match="diverged"):
        loop.check_loss()


def test_the_first_loss_is_that_of_the_first_step(tmp_path: Path, patch: Any) -> None:
    """A batch trained on outside a block is what later losses are held against."""
    use(patch, loss=Scripted(1.0, 1e9))
    loop = loop_of(tmp_path)
    source = source_of(loop)
    loop.train_on(loop.training.to_device(source.next()))
    assert loop.check_loss() == 1.0
    with pytest.raises(BadLoss, match="diverged"):
        loop.warm_up(source, 0.0, steps=0)


def test_no_loss_yet_is_no_bad_loss(tmp_path: Path, patch: Any) -> None:
    """Before the first step there is nothing to judge."""
    assert math.isnan(loop_of(tmp_path).check_loss())


def test_a_warm_up_has_its_fewest_and_its_most_steps(tmp_path: Path, patch: Any) -> None:
    """At least as many as the queue asks for, and an end even where time is left without end."""
    loop = loop_of(tmp_path)
    source = source_of(loop)
    assert loop.warm_up(source, 0.0, steps=0) > 0
    assert loop.recorder.steps == WARM_STEPS
    loop.warm_up(source, 0.0, steps=10)
    assert 10 <= loop.recorder.steps - WARM_STEPS <= 11
    before = loop.recorder.steps
    loop.warm_up(source, 1e9, steps=0)
    assert WARM_STEPS_MOST <= loop.recorder.steps - before <= WARM_STEPS_MOST + 1
