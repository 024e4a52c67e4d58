"""An edge of an epoch that fails is lost alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import edges_of, let_go, loop_of, use
from torch import nn

from perfkit.training.parts import Parts
from perfkit.training.workload import Epoch, Periodic


def fails(epoch: Epoch) -> Any:
    epoch.model.eval()
    raise ValueError("planted\nwith details")


def refuses_eight(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    if len(targets) == 8:
        raise ValueError("planted\nwith details")
    return nn.functional.cross_entropy(outputs, targets)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("parts", "lost"),
    [
        ({"loss": refuses_eight}, "partial_batch"),
        ({"evaluate": fails}, "evaluation"),
        ({"periodic": (Periodic(name="other", every=1, run=fails),)}, "other"),
    ],
)
def test_an_edge_is_lost_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    parts: dict[str, Any],
    lost: str,
    workers: int,
) -> None:
    """The others are measured as if nothing had been; what happened is told in one line."""
    plot = Periodic(name="plot", every=1, run=lambda epoch: None)
    usual = {"evaluate": lambda epoch: {}, "periodic": (plot,)}
    parts = usual | parts | {"periodic": (*parts.get("periodic", ()), plot)}
    use(monkeypatch, **parts)
    loop = loop_of(tmp_path, num_samples=72, num_workers=workers)
    real, one = edges_of(loop, tmp_path)
    loop.run(real, 3)
    noted = Parts()
    found = one.measure(noted)
    loop.run(real, 3)
    let_go(real)
    assert noted.lost == {lost: "ValueError: planted"}
    assert noted.unavailable == {lost: "failed"}
    names = {"epoch_start", "pass_steps", "partial_batch", "evaluation", "periodic", "set_up"}
    assert found.keys() == names - {lost}
    assert found["periodic"].keys() == {"plot"}
    assert loop.training.model.training


@pytest.mark.parametrize("persistent", [False, True])
def test_a_worker_that_dies_costs_its_own_edge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, persistent: bool
) -> None:
    """The next pass starts workers of its own."""

    def deadly(samples: list[Any]) -> Any:
        if len(samples) == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.utils.data.default_collate(samples)

    use(monkeypatch, collate=deadly, evaluate=lambda epoch: {})
    loop = loop_of(tmp_path, num_samples=72, num_workers=1, persistent_workers=persistent)
    real, one = edges_of(loop, tmp_path)
    loop.run(real, 3)
    noted = Parts()
    found = one.measure(noted)
    loop.run(real, 3)
    let_go(real)
    assert noted.unavailable == {"partial_batch": "killed"}
    assert found["epoch_start"] > 0 and found["evaluation"] > 0


def test_a_pass_that_fails_half_way_leaves_a_loader_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start of an epoch is lost, its partial batch is not."""
    calls = iter(range(99))

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if next(calls) == 5:
            raise MemoryError("out of memory")
        return nn.functional.cross_entropy(outputs, targets)

    use(monkeypatch, loss=loss)
    loop = loop_of(tmp_path, num_samples=72, num_workers=1)
    real, one = edges_of(loop, tmp_path)
    loop.run(real, 3)
    noted = Parts()
    found = one.measure(noted)
    let_go(real)
    assert noted.unavailable == {"epoch_start": "no_memory"}
    assert found["partial_batch"] > 0
    assert all(p.grad is None for p in loop.training.parameters())
