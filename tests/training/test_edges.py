"""The edges of an epoch: its start, its partial batch, its evaluation, its periodic work; and a whole one."""

from __future__ import annotations

import multiprocessing
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import BATCH, Numbered, Seen, let_go, loop_of, use

from perfkit.training import edges
from perfkit.training.arms import Real
from perfkit.training.loop import Loop
from perfkit.training.setup import BatchOrder, make_loader
from perfkit.training.workload import Epoch, Periodic


def measured(loop: Loop, folder: Path) -> dict[str, Any]:
    """Measure the edges of a loop that has trained a little already."""
    training = loop.training
    order = BatchOrder(training.config)
    real = Real(make_loader(training.config, training.workload, order))
    loop.run(real, 3)
    found = edges.measure(loop, real, order, str(folder))
    let_go(real)
    assert order.batches is None, "the endless order is left endless"
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
    training = loop.training
    order = BatchOrder(training.config)
    real = Real(make_loader(training.config, training.workload, order))
    each = [edges.measure(loop, real, order, str(tmp_path)) for _ in range(2)]
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
    assert edges.real_epoch(loop, str(tmp_path)) > 0
    assert trained_on(loop) == [16, 16, 16, 16, 8]
    assert done == ["evaluate"]
    assert loop.recorder.steps == 0
    if not workers:
        dataset: Any = loop.training.workload.dataset
        assert sorted(dataset.read) == list(range(72))


Pair = namedtuple("Pair", ["inputs", "targets"])


def test_first_samples_keep_the_shape_of_a_batch() -> None:
    """Tensors are cut wherever they lie; types and what is no tensor stay."""
    batch = Pair({"x": torch.arange(6), "name": "text"}, [torch.zeros(6, 2), (torch.ones(6),)])
    cut = edges._first_samples(batch, 4)
    assert isinstance(cut, Pair) and isinstance(cut.targets[1], tuple)
    assert cut.inputs["x"].tolist() == [0, 1, 2, 3] and cut.inputs["name"] == "text"
    assert cut.targets[0].shape == (4, 2) and cut.targets[1][0].shape == (4,)


def test_what_only_a_first_call_sets_up_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import or a kernel made in the first evaluation costs a run once, and no epoch."""
    waits = [0.2]
    use(monkeypatch, evaluate=lambda epoch: time.sleep(waits.pop() if waits else 0) or {})
    found = measured(loop_of(tmp_path), tmp_path)
    assert found["set_up"]["evaluation"] > 0.15 > found["evaluation"]
