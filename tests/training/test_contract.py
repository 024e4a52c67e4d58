"""What a workload lacks is told before anything is measured."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from small_training import Numbered, loop_of, use
from torch import nn
from torch.utils.data import IterableDataset

from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.training.contract import TAKEN, checked, completed, declared
from perfkit.training.setup import Training
from perfkit.training.workload import Periodic, Setting, Workload


def workload(**parts: Any) -> Workload:
    usual: dict[str, Any] = {
        "model": nn.Linear(8, 4),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": torch.optim.SGD,
        "dataset": Numbered(4),
    }
    return Workload(**(usual | parts))


def periodic(*names: str) -> tuple[Periodic, ...]:
    return tuple(Periodic(name=name, every=1, run=lambda epoch: None) for name in names)


class Stream(IterableDataset[int]):
    def __iter__(self) -> Any:
        return iter(range(4))


class Counted(Stream):
    def __len__(self) -> int:
        return 4


def step(model: Any, batch: Any) -> torch.Tensor:
    return torch.zeros(())


@pytest.mark.parametrize(
    "made",
    [
        workload(),
        workload(loss=None, step=step),
        workload(periodic=periodic("metrics", "plots"), drop_last=True),
        workload(dataset=Stream(), length=4),
        workload(dataset=Counted()),
    ],
)
def test_what_can_be_trained_is_what_it_was(made: Workload) -> None:
    """With a loss or with a step."""
    assert checked("mine", "factory", made) is made


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (3, "gave a int, not a Workload"),
        (workload(loss=None), "neither a loss nor a step"),
        (workload(step=step), "a loss and a step"),
        (workload(loss="text"), "its loss is a str"),
        (workload(loss=None, step="text"), "its step is a str"),
        (workload(model=step), "its model is a function"),
        (workload(optimizer=None), "its optimizer is a NoneType"),
        (workload(dataset=Numbered(0)), "its dataset is empty"),
        (workload(dataset=()), "its dataset is empty"),
        (workload(dataset=object()), "its dataset is not map-style"),
        (workload(dataset=Stream()), "its dataset is an IterableDataset without a length"),
        (workload(dataset=Stream(), length=0), "its dataset is empty"),
        (workload(length=4), "its length is stated"),
        (workload(periodic=periodic("plots", "plots")), "two pieces of periodic work"),
        *((workload(periodic=periodic(name)), f"named {name!r}") for name in sorted(TAKEN)),
    ],
)
def test_what_cannot_be_trained_is_refused_with_a_hint(made: Any, says: str) -> None:
    """By the workload's name."""
    with pytest.raises(UsageError, match=f"workload mine: .*{says}") as caught:
        checked("mine", "factory", made)
    assert caught.value.hint or "empty" in says


def test_parts_of_an_epoch_are_taken() -> None:
    """Names that an answer has already, whatever their number."""
    assert {"steps", "partial_batch", "epoch_start", "evaluation"} <= TAKEN


def test_an_optimizer_that_needs_a_closure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L-BFGS computes the loss many times a step: the reason, and what measures it."""
    use(monkeypatch, optimizer=torch.optim.LBFGS)
    with pytest.raises(UsageError, match="LBFGS computes the loss again and again") as caught:
        loop_of(tmp_path)
    assert caught.value.hint is not None and "perfkit run" in caught.value.hint


WIDTH = Setting("width", 64, "Units of the hidden layer.", least=8)
DEPTH = Setting("depth", 2, "Layers.", least=1)


def test_settings_of_its_own_are_filled_in() -> None:
    """Those that are named stay, others are at their defaults; a module need not declare any."""
    module = SimpleNamespace(SETTINGS=(WIDTH, DEPTH))
    asked = RunConfig(arch="mine", workload={"width": 8})
    assert completed(asked, module).workload == {"width": 8, "depth": 2}
    bare = RunConfig(arch="mine")
    assert completed(bare, SimpleNamespace()) == bare


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ({"widht": 8}, "mine has no setting widht"),
        ({"width": 7}, "workload mine: width is 7: it should be at least 8"),
        ({"width": "8"}, "workload mine: width is '8': it should be a whole number"),
    ],
)
def test_a_setting_that_it_does_not_have_is_refused(own: dict[str, Any], says: str) -> None:
    """In the training process, too, whoever made the configuration."""
    with pytest.raises(UsageError, match=says):
        completed(RunConfig(arch="mine", workload=own), SimpleNamespace(SETTINGS=(WIDTH, DEPTH)))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"width": 64}, "its SETTINGS should be a tuple"),
        ((WIDTH, "depth"), "its SETTINGS should be a tuple"),
        ((WIDTH, WIDTH), "cannot have a setting named width"),
        ((Setting("batch_size", 4, "One line."),), "cannot have a setting named batch_size"),
        ((Setting("compile", True, "One line."),), "cannot have a setting named compile"),
    ],
)
def test_settings_that_cannot_be_declared(settings: Any, says: str) -> None:
    """Something else, one twice, or a name that means something already."""
    with pytest.raises(UsageError, match=f"workload mine: .*{says}"):
        declared("mine", SimpleNamespace(SETTINGS=settings))


@pytest.mark.parametrize("made", [3, [], [3], {"adam": 1}])
def test_what_is_no_optimizer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Any
) -> None:
    """Nor a list of them."""
    use(monkeypatch, optimizer=lambda parameters: made)
    with pytest.raises(UsageError, match="optimizer"):
        loop_of(tmp_path)


def test_each_parameter_is_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where weights are tied, and where the loss holds the model."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(8, 4), nn.Linear(8, 4)
            self.second.weight = self.first.weight

    class Penalised(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model, self.temperature = model, nn.Parameter(torch.tensor(1.0))

    model = Tied()
    loss = Penalised(model)
    use(monkeypatch, model=model, loss=loss)
    training: Training = loop_of(tmp_path).training
    found = training.parameters()
    assert len(found) == len({id(p) for p in found}) == 4
    assert found[-1] is loss.temperature
