"""Which device a process is on, and what it says of it."""

from __future__ import annotations

import pytest
import torch

from perfkit import limits
from perfkit.training.probe import device


@pytest.mark.parametrize(
    ("name", "current"),
    [
        ("cuda:1", [torch.device("cuda", 1)]),
        ("cuda:0", [torch.device("cuda", 0)]),
        ("cuda", []),
        ("cpu", []),
    ],
)
def test_a_gpu_with_a_number_becomes_the_current_one(
    monkeypatch: pytest.MonkeyPatch, name: str, current: list[torch.device]
) -> None:
    """Else a library that allocates on `cuda` would do so on the first one."""
    asked: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", asked.append)
    device.make_current(name)
    assert asked == current


def test_cores_and_memory_are_those_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a control group leaves, beside what the machine has; threads as torch has them now."""
    monkeypatch.setattr(limits, "usable_cores", lambda: 3)
    monkeypatch.setattr(limits, "usable_memory_bytes", lambda: 2**30)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    found = device.environment("cpu")
    assert (found["cores_usable"], found["memory_bytes"], found["num_threads"]) == (3, 2**30, 5)
