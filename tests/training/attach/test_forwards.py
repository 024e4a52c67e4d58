"""Forwards of loops without a loader: the outermost call of a module on the thread that trains."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hooked_script import Script, loader

from perfkit.training.attach import forwards
from perfkit.training.attach.forwards import call_hook, watch
from perfkit.training.attach.passes import NO_LOADER


class Steps:
    """What was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def forward_begins(self) -> bool:
        self.told.append("begins")
        return True

    def forward_ends(self) -> None:
        self.told.append("ends")


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A recording whose forwards are told of; the class is as it was afterwards."""
    call = torch.nn.Module.__call__
    monkeypatch.setattr(torch.nn.Module, "__call__", call)
    found = SimpleNamespace(
        off=False, depth=0, steps=Steps(), thread=threading.get_ident(), fail=pytest.fail
    )
    watch(found)  # type: ignore[arg-type]
    yield found
    forwards._outermost.session = None


@pytest.fixture
def script(tmp_path: Any) -> Script:
    return Script(tmp_path / "steps.bin")


def model() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Sequential(torch.nn.ReLU()))


def test_the_outermost_call_is_told_once(session: Any) -> None:
    """Of four modules."""
    model()(torch.zeros(2, 4))
    assert session.steps.told == ["begins", "ends"]


def test_the_hook_is_put_in_once(session: Any) -> None:
    call = torch.nn.Module.__call__
    watch(session)
    assert torch.nn.Module.__call__ is call


@pytest.mark.parametrize("why", ["no_grad", "backward", "off", "thread"])
def test_other_calls_are_not_told(session: Any, why: str) -> None:
    """An evaluation; a checkpoint's recomputation; nothing recorded; not the thread that trains."""
    session.depth, session.off = int(why == "backward"), why == "off"
    session.thread += why == "thread"
    with torch.set_grad_enabled(why != "no_grad"):
        model()(torch.zeros(2, 4))
    assert session.steps.told == []


def test_a_forward_that_raises_has_ended(session: Any) -> None:
    """The next one is told of again."""
    for _ in range(2):
        with pytest.raises(RuntimeError):
            model()(torch.zeros(2, 5))
    assert session.steps.told == ["begins", "ends"] * 2


def test_a_graph_that_is_compiled_knows_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwards, "is_compiling", lambda: True)
    monkeypatch.setattr(forwards._Outermost, "begins", pytest.fail)
    assert call_hook(lambda self, one: one + 1)(None, 1) == 2


def test_the_rest_of_a_step_without_a_loader_is_in_no_phase(script: Script) -> None:
    """A batch made by hand before the forward, and a loss after it; both belong to the time to explain."""
    steps = script.steps
    script.train()
    for _ in range(3):
        assert steps.unexplained
        moment = steps.moment
        assert steps.forward_begins()
        assert not steps.unexplained
        steps.forward_ends()
        assert steps.unexplained and steps.sees_forward and steps.moment > moment
        script.train()
    steps.end()
    records = script.records()
    assert [record.block for record in records] == [NO_LOADER] * 4
    assert records[0].forward_s != records[0].forward_s
    for record in records[1:]:
        phases_s = record.forward_s + record.backward_s + record.optimizer_s
        assert 0 < record.forward_s < phases_s < record.step_s
    assert steps.bare_steps == 3


def test_a_forward_with_a_loader_s_batch_begins_with_the_batch(script: Script) -> None:
    train = script.iterate(loader(0))
    script.fetch(train)
    assert not script.steps.forward_begins()
