"""What is told of a process beside its steps."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from perfkit.training.attach import facts as facts_module
from perfkit.training.attach.facts import DENORMALS_AT, LOOK_EVERY, MEMORY_STEPS, Facts
from perfkit.training.attach.folder import ProcessFolder
from perfkit.training.attach.precision import of_loss


@pytest.fixture
def folder(tmp_path: Path) -> ProcessFolder:
    return ProcessFolder(tmp_path, time.perf_counter_ns())


def told(folder: ProcessFolder) -> dict[str, Any]:
    events = folder.rank.events.read()
    return {event["code"]: event["value"] for event in events if event["event"] == "fact"}


def test_settings_that_slow_are_told_of_once(folder: ProcessFolder) -> None:
    """Anomaly mode and deterministic algorithms."""
    facts = Facts()
    torch.use_deterministic_algorithms(True)
    try:
        with torch.autograd.set_detect_anomaly(True):
            facts.first_step(folder, "cpu")
            facts.first_step(folder, "cpu")
    finally:
        torch.use_deterministic_algorithms(False)
    lines = (folder.path / "ranks" / "0" / "events.jsonl").read_text().splitlines()
    codes = [json.loads(line)["code"] for line in lines]
    assert codes.count("anomaly_mode") == codes.count("deterministic") == 1


@pytest.mark.parametrize(("per_step", "grows"), [(64 * 1024, True), (0, False), (1024, False)])
def test_memory_that_grows_by_the_step(
    folder: ProcessFolder, monkeypatch: pytest.MonkeyPatch, per_step: int, grows: bool
) -> None:
    """From a slope over enough steps, not from a cache that fills at first."""
    facts, step = Facts(), 0
    monkeypatch.setattr(facts, "_memory_bytes", lambda: 10**9 + step * per_step)
    for step in range(0, 3 * MEMORY_STEPS, LOOK_EVERY):
        facts._grows(folder, step)
    assert ("memory_grows" in told(folder)) == grows
    if grows:
        assert told(folder)["memory_grows"]["bytes_per_step"] == pytest.approx(per_step)


def test_denormal_weights(folder: ProcessFolder) -> None:
    """Their share is told where a CPU computes with them."""
    model = nn.Linear(64, 64)
    facts = Facts()
    facts.optimizer = torch.optim.SGD(model.parameters())
    facts._denormals(folder)
    assert "denormals" not in told(folder)
    with torch.no_grad():
        model.weight[:32] = 1e-40
    facts._denormals(folder)
    assert told(folder)["denormals"]["share"] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("of_two", "share"), [(0, None), (1, None), (2, 1.0)])
def test_weights_in_float64(folder: ProcessFolder, of_two: int, share: float | None) -> None:
    """More than half of them; a few are kept so for a reason."""
    layers = [nn.Linear(4, 4, dtype=[torch.float32, torch.float64][n < of_two]) for n in range(2)]
    facts = Facts()
    facts.optimizer = torch.optim.SGD([one for layer in layers for one in layer.parameters()])
    facts.look(folder, DENORMALS_AT)
    assert told(folder).get("float64") == (None if share is None else {"share": share})


def test_without_an_optimizer_no_weights_are_looked_at(folder: ProcessFolder) -> None:
    """A script that changes them by hand goes on being recorded."""
    facts = Facts()
    for step in (DENORMALS_AT, DENORMALS_AT + LOOK_EVERY):
        facts.look(folder, step)
    assert "denormals" not in told(folder)


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_autocast_is_read_from_the_graph(dtype: torch.dtype | None) -> None:
    """It has been left when backward begins."""
    model, batch = nn.Linear(4, 4), torch.randn(2, 4)
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        loss = model(batch).square().mean()
    assert of_loss(loss) == (None if dtype is None else "bf16", "cpu")


def test_a_model_in_bf16_is_no_autocast() -> None:
    """Its weights are what they are computed in."""
    model = nn.Linear(4, 4).to(torch.bfloat16)
    loss = model(torch.randn(2, 4, dtype=torch.bfloat16)).float().mean()
    assert of_loss(loss) == (None, "cpu")


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (None, "no_updates_seen"),
        ({}, "no_updates_seen"),
        ({"frames": {"total": 1}}, "no_updates_seen"),
        ({"frames": {"total": 2, "ok": 1}}, "compiled_optimizer"),
    ],
)
def test_a_process_without_updates_says_why(
    folder: ProcessFolder, monkeypatch: pytest.MonkeyPatch, frames: Any, code: str
) -> None:
    """No hook saw one: compiled into a graph only where something was compiled."""
    dynamo = SimpleNamespace() if frames is None else SimpleNamespace(counters=frames)
    monkeypatch.setitem(sys.modules, "torch._dynamo.utils", dynamo)  # type: ignore[arg-type]
    Facts().end(folder, steps=5, optimizers=0)
    assert list(told(folder)) == [code]


def test_memory_is_read(folder: ProcessFolder) -> None:
    """Resident bytes of this process, where the system tells."""
    used = Facts()._memory_bytes()
    assert used is None or used > 10 * 2**20
    assert facts_module.LOOK_EVERY < MEMORY_STEPS
