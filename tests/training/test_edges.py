"""The edges of an epoch: its start, its partial batch, its evaluation, its periodic work; and a whole one."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import BATCH, Numbered, Seen, edges_of, let_go, loop_of, use
from torch import nn

from perfkit.records import EVALUATION, PERIODIC, SPANS
from perfkit.training.edges import Edges
from perfkit.training.loop import Loop
from perfkit.training.parts import Parts
from perfkit.training.workload import Epoch, Periodic


def measured(loop: Loop, folder: Path) -> dict[str, Any]:
    """Measure the edges of a loop that has trained a little already."""
    real, one = edges_of(loop, folder)
    loop.run(real, 3)
    parts = Parts()
    found = one.measure(parts)
    let_go(real)
    assert one._order.batches is None, "the endless order is left endless"
    assert one._order.size == BATCH
    assert parts.answer() == {"lost": {}, "unavailable": {}}
    return found


def trained_on(loop: Loop) -> list[int]:
    """Samples of each batch that the model has seen."""
    model = loop.training.model
    assert isinstance(model, Seen)
    return model.batches


@pytest.mark.parametrize(
    ("workers", "persistent"), [(0, False), (1, False), (1, True)], ids=["none", "fresh", "kept"]
)
def test_start_and_partial_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, persistent: bool
) -> None:
    """With 72 samples in batches of 16: a pass of whole batches, then batches of the 8 that are left."""
    use(monkeypatch)
    settings = {"num_samples": 72, "num_workers": workers, "persistent_workers": persistent}
    loop = loop_of(tmp_path, **settings)
    found = measured(loop, tmp_path)
    assert found.keys() == {
        "epoch_start", "pass_steps", "partial_batch", "periodic", "set_up",
    }  # fmt: skip
    assert found["epoch_start"] > 0 and found["partial_batch"] > 0
    steps = found["pass_steps"]
    # three before, two passes of whole batches, the partial batch twice: its shape is set up once
    assert trained_on(loop) == [BATCH] * (3 + 2 * steps) + [8, 8]
    assert not multiprocessing.active_children()


def test_edges_can_be_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Edges that were disturbed are timed once more, with the workers that were kept."""
    use(monkeypatch)
    loop = loop_of(tmp_path, num_workers=1)
    real, one = edges_of(loop, tmp_path)
    each = [one.measure(Parts()) for _ in range(2)]
    let_go(real)
    assert each[0]["pass_steps"] == each[1]["pass_steps"]


def test_an_epoch_of_whole_batches_has_no_partial_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an epoch does not have is left out, not priced at zero."""
    use(monkeypatch)
    found = measured(loop_of(tmp_path, num_samples=64), tmp_path)
    assert "partial_batch" not in found and "evaluation" not in found
    assert found["periodic"] == {}


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"num_samples": 160}, 4),
        ({"num_samples": 16}, 1),
        ({"num_samples": 1600, "num_workers": 1, "prefetch_factor": 8}, 10),
        ({"num_samples": 1600, "num_workers": 1, "prefetch_factor": 60}, 24),
        ({"num_samples": 160, "accumulate": 3}, 6),
    ],
)
def test_a_pass_reaches_past_the_queue_but_not_past_the_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], steps: int
) -> None:
    """Four steps at least, two more than the queue holds, 24 at most, and no more than an epoch has."""
    use(monkeypatch)
    assert measured(loop_of(tmp_path, **settings), tmp_path)["pass_steps"] == steps


def test_evaluation_and_periodic_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Periodic work finds what the evaluation returned; what falls due never is not run."""
    done: list[str] = []

    def evaluate(epoch: Epoch) -> dict[str, Any]:
        read = sum(len(inputs) for inputs, _ in epoch.loader(Numbered(20)))
        with epoch.autocast(), torch.no_grad():
            epoch.model(torch.zeros(3, 8))
        done.append("evaluate")
        return {"read": read}

    def plot(epoch: Epoch) -> None:
        done.append(f"plot of {epoch.results['read']}")
        (Path(epoch.folder) / "plot.txt").write_text("drawn")

    def never(epoch: Epoch) -> None:
        raise AssertionError("it falls due in no epoch")

    tasks = (Periodic(name="plot", every=5, run=plot), Periodic(name="off", every=0, run=never))
    use(monkeypatch, evaluate=evaluate, periodic=tasks)
    found = measured(loop_of(tmp_path), tmp_path)
    # twice each: what only the first has to set up is no part of an epoch
    assert done == ["evaluate"] * 2 + ["plot of 20"] * 2
    assert (tmp_path / "plot.txt").exists()
    assert found["evaluation"] > 0
    assert found["periodic"].keys() == {"plot"}
    assert found["periodic"]["plot"]["every"] == 5 and found["periodic"]["plot"]["run_s"] > 0


def test_evaluation_and_periodic_work_leave_spans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of their two runs, in the order they were made; a run that fails has one, too."""

    def fails(epoch: Epoch) -> None:
        raise ValueError("no")

    tasks = (
        Periodic(name="draw", every=2, run=lambda epoch: None),
        Periodic(name="fails", every=1, run=fails),
    )
    use(monkeypatch, evaluate=lambda epoch: {}, periodic=tasks)
    loop = loop_of(tmp_path)
    real, one = edges_of(loop, tmp_path)
    one.measure(Parts())
    loop.recorder.close()
    spans = list(SPANS.read(tmp_path / "spans.bin"))
    assert [span.phase for span in spans] == [EVALUATION] * 2 + [PERIODIC] * 3
    assert all(0 < span.own_s == span.span_s for span in spans)
    let_go(real)


def test_evaluation_gets_the_model_and_not_what_compile_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second graph, compiled in the first epoch only, is no part of every epoch."""
    given: list[Any] = []
    use(monkeypatch, evaluate=lambda epoch: given.append(epoch.model) or {})
    loop = loop_of(tmp_path)
    loop.training.step_model = lambda inputs: loop.training.model(inputs)
    measured(loop, tmp_path)
    assert given == [loop.training.model] * 2


@pytest.mark.parametrize("workers", [0, 1])
def test_a_real_epoch_trains_on_every_sample_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Whole batches and the partial one, evaluated at the end, unrecorded, without periodic work."""
    done: list[str] = []
    tasks = (Periodic(name="plot", every=1, run=lambda epoch: done.append("plot")),)
    use(monkeypatch, evaluate=lambda epoch: done.append("evaluate") or {}, periodic=tasks)
    loop = loop_of(tmp_path, num_samples=72, num_workers=workers)
    assert edges_of(loop, tmp_path)[1].real_epoch() > 0
    assert trained_on(loop) == [16, 16, 16, 16, 8]
    assert done == ["evaluate"]
    assert loop.recorder.steps == 0
    if not workers:
        dataset: Any = loop.training.workload.dataset
        assert sorted(dataset.read) == list(range(72))


@pytest.mark.parametrize(("repeat_s", "times"), [(None, 2), (3600.0, 2), (0.0, 1)])
def test_an_evaluation_is_run_again_if_there_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repeat_s: float | None, times: int
) -> None:
    """One that is not counts as it is, and that is said."""
    done: list[str] = []
    use(monkeypatch, evaluate=lambda epoch: done.append("evaluate") or {})
    loop = loop_of(tmp_path)
    real, one = edges_of(loop, tmp_path)
    loop.run(real, 3)
    parts = Parts()
    found = one.measure(parts, repeat_s)
    let_go(real)
    assert len(done) == times and found["evaluation"] > 0
    told = {} if times == 2 else {"evaluation_repeat": "no_time"}
    assert parts.answer() == {"lost": {}, "unavailable": told}


def test_what_only_a_first_call_sets_up_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import or a kernel made in the first evaluation costs a run once, and no epoch."""
    waits = [0.2]
    use(monkeypatch, evaluate=lambda epoch: time.sleep(waits.pop() if waits else 0) or {})
    found = measured(loop_of(tmp_path), tmp_path)
    assert found["set_up"]["evaluation"] > 0.15 > found["evaluation"]


def test_a_partial_batch_is_collated_from_fewer_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the loader, which is told how many; what it makes of them is never sliced."""
    collated: list[int] = []

    def listed(samples: list[Any]) -> tuple[Any, Any]:
        collated.append(len(samples))
        # time first, and targets in a list: neither says how many samples there are
        return torch.stack([x for x, _ in samples], 1), [y for _, y in samples]

    class Last(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.T)

    def loss(outputs: torch.Tensor, targets: list[int]) -> torch.Tensor:
        assert len(outputs) == len(targets)
        return nn.functional.cross_entropy(outputs, torch.tensor(targets))

    use(monkeypatch, collate=listed, loss=loss, model=Last(8, 4))
    assert measured(loop_of(tmp_path, num_samples=72), tmp_path)["partial_batch"] > 0
    assert collated[-2:] == [8, 8] and set(collated[:-2]) == {BATCH}


@pytest.mark.parametrize("drop_last", [False, True])
def test_a_partial_batch_that_is_dropped_is_in_no_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drop_last: bool
) -> None:
    """Neither measured as an edge nor trained on in a real epoch."""
    use(monkeypatch, drop_last=drop_last)
    loop = loop_of(tmp_path, num_samples=72)
    assert ("partial_batch" in measured(loop, tmp_path)) is not drop_last
    trained_on(loop).clear()
    edges_of(loop, tmp_path)[1].real_epoch()
    assert trained_on(loop) == [16, 16, 16, 16] + ([] if drop_last else [8])


def test_the_loader_is_at_rest_while_evaluation_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the end of an epoch: its workers live, and none has a batch to make or to hand over."""
    seen: list[tuple[Any, ...]] = []
    holder: list[Edges] = []

    def look(epoch: Epoch) -> dict[str, Any]:
        iterator = holder[0]._loader._iterator
        alive = [worker.is_alive() for worker in iterator._workers]
        seen.append((alive, iterator._tasks_outstanding, iterator._worker_result_queue.qsize()))
        return {}

    tasks = (Periodic(name="plot", every=1, run=look),)
    use(monkeypatch, evaluate=look, periodic=tasks)
    loop = loop_of(tmp_path, num_samples=72, num_workers=1)
    real, one = edges_of(loop, tmp_path)
    holder.append(one)
    loop.run(real, 3)
    one.measure(Parts())
    loop.run(real, 3)
    one.real_epoch()
    let_go(real)
    assert seen == [([True], 0, 0)] * 5


def test_an_empty_evaluation_set_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not the training set in its place."""
    read: list[int] = []
    use(monkeypatch, evaluate=lambda epoch: read.extend(1 for _ in epoch.loader(Numbered(0))))
    assert measured(loop_of(tmp_path), tmp_path)["evaluation"] > 0
    assert read == []
