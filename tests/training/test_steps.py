"""One step of training: its scaler, its optimizers, and steps and batches of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import BATCH, loop_of, records, source_of, use
from torch import nn

from perfkit.errors import UsageError


def test_a_scaler_scales_steps_and_updates(tmp_path: Path, patch: Any) -> None:
    """With a gradient scaler the loss is scaled for backward, and the step goes through it."""
    loop = loop_of(tmp_path)
    told: list[str] = []

    class Scaler:
        def scale(self, loss: torch.Tensor) -> torch.Tensor:
            told.append("scale")
            return loss * 8

        def step(self, optimizer: Any) -> None:
            told.append("step")
            assert loop.training.parameters()[0].grad is not None

        def update(self) -> None:
            told.append("update")

    loop.training.scaler = Scaler()
    loop.run(source_of(loop), 2)
    assert told == ["scale", "step", "update"] * 2
    assert all(p.grad is None for p in loop.training.parameters())


def test_every_optimizer_steps_once_and_every_gradient_goes(tmp_path: Path, patch: Any) -> None:
    """Several optimizers share one backward; a scaler steps each and is updated once."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.head(self.body(inputs))

    def optimizers(parameters: Any) -> list[Any]:
        body, head = parameters[:2], parameters[2:]
        return [torch.optim.SGD(body, lr=0.1), torch.optim.Adam(head, lr=0.1)]

    use(patch, model=Two(), optimizer=optimizers)
    loop = loop_of(tmp_path)
    training = loop.training
    assert [type(one).__name__ for one in training.optimizer] == ["SGD", "Adam"]
    before = [p.detach().clone() for p in training.parameters()]
    source = source_of(loop)
    loop.run(source, 1)
    assert not any(map(torch.equal, before, training.parameters()))
    assert all(p.grad is None for p in training.parameters())
    training.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    told: list[Any] = []
    patch.setattr(training.scaler, "step", told.append)
    patch.setattr(training.scaler, "update", lambda: told.append("update"))
    loop.run(source, 1)
    assert told == [*training.optimizers, "update"]


@dataclass
class Pieces:
    """A batch of a kind that perfkit knows nothing about."""

    inputs: torch.Tensor
    extra: dict[str, Any]


def pieces(samples: list[Any]) -> Pieces:
    inputs = torch.stack([x for x, _ in samples])
    return Pieces(inputs, {"targets": torch.tensor([y for _, y in samples]), "names": ["a"]})


def test_a_step_is_given_the_model_of_the_row_and_the_whole_batch(
    tmp_path: Path, patch: Any
) -> None:
    """Whatever the loader gives, on the device, under autocast; its samples are the sampler's."""
    seen: list[tuple[Any, Any]] = []

    def step(model: Any, batch: Pieces) -> torch.Tensor:
        seen.append((model, torch.is_autocast_enabled("cpu")))
        assert batch.extra["names"] == ["a"]
        return nn.functional.cross_entropy(model(batch.inputs).float(), batch.extra["targets"])

    use(patch, loss=None, step=step, collate=pieces)
    loop = loop_of(tmp_path)
    training = loop.training
    compiled = training.step_model = lambda inputs: training.model(inputs)
    training.autocast_dtype = torch.bfloat16
    loop.run(source_of(loop), 2)
    assert seen == [(compiled, True)] * 2
    assert [record.samples for record in records(loop)] == [BATCH] * 2
    assert training.parameters() == list(training.model.parameters())


def test_a_step_that_returns_no_tensor_is_refused(tmp_path: Path, patch: Any) -> None:
    """What some models return has the loss inside: the step is to take it out."""
    use(patch, loss=None, step=lambda model, batch: {"loss": model(batch[0]).sum()})
    loop = loop_of(tmp_path)
    with pytest.raises(UsageError, match="the step returned a dict"):
        loop.run(source_of(loop), 1)


def test_samples_are_the_samplers(tmp_path: Path, patch: Any) -> None:
    """Time may be a batch's first dimension."""
    use(
        patch,
        model=nn.Linear(8, 4),
        collate=lambda samples: (torch.zeros(3, 8), torch.zeros(3).long()),
    )
    loop = loop_of(tmp_path)
    loop.run(source_of(loop), 2)
    assert [record.samples for record in records(loop)] == [BATCH] * 2
