"""What a workload lacks is told before anything is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import Numbered, loop_of, use
from torch import nn
from torch.utils.data import IterableDataset

from perfkit.errors import UsageError
from perfkit.training.contract import TAKEN, checked
from perfkit.training.setup import Training
from perfkit.training.workload import Periodic, Workload


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


class Endless(IterableDataset[int]):
    def __iter__(self) -> Any:
        return iter(())


def step(model: Any, batch: Any) -> torch.Tensor:
    return torch.zeros(())


@pytest.mark.parametrize(
    "made",
    [
        workload(),
        workload(loss=None, step=step),
        workload(periodic=periodic("metrics", "plots"), drop_last=True),
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
        (workload(dataset=Endless()), "its dataset is not map-style"),
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
