"""When the stacks of the training thread are looked at."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from perfkit.training.attach import stacks
from perfkit.training.attach.stacks import LOOK_EVERY_NS, Untracked


@pytest.mark.parametrize(("untracked_s", "looks"), [(0.49, False), (0.51, True)])
def test_stacks_are_looked_at_where_a_tenth_is_untracked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, untracked_s: float, looks: bool
) -> None:
    """Of five seconds; what was untracked before them does not count."""
    begun: list[int] = []
    monkeypatch.setattr(
        stacks, "StackSampler", lambda steps, thread, loop: begun.append(thread) or object()
    )
    steps: Any = SimpleNamespace(
        untracked_ns=int(0.4e9), in_training=True, forward_ns=0, backward_ns=0, making_ns=0
    )
    untracked = Untracked(steps, 0)
    folder: Any = None
    untracked.look(folder, 42, LOOK_EVERY_NS)
    steps.untracked_ns += int(untracked_s * 1e9)
    untracked.look(folder, 42, 2 * LOOK_EVERY_NS - 1)
    assert begun == []
    untracked.look(folder, 42, 2 * LOOK_EVERY_NS)
    assert begun == ([42] if looks else [])


@pytest.mark.parametrize(
    ("forward_s", "backward_s", "looks"),
    [(2.0, 1.9, True), (2.0, 2.1, False), (0.49, 0.1, False), (0.51, 0.1, True)],
)
def test_stacks_are_looked_at_where_forwards_take_longer_than_backwards(
    monkeypatch: pytest.MonkeyPatch, forward_s: float, backward_s: float, looks: bool
) -> None:
    """And a tenth of five seconds; what came before these does not count."""
    begun: list[int] = []
    monkeypatch.setattr(
        stacks, "StackSampler", lambda steps, thread, loop: begun.append(thread) or object()
    )
    steps: Any = SimpleNamespace(untracked_ns=0, in_training=True, making_ns=0)
    steps.forward_ns, steps.backward_ns = int(1e9), int(3e9)
    untracked = Untracked(steps, 0)
    folder: Any = None
    untracked.look(folder, 42, LOOK_EVERY_NS)
    steps.forward_ns += int(forward_s * 1e9)
    steps.backward_ns += int(backward_s * 1e9)
    untracked.look(folder, 42, 2 * LOOK_EVERY_NS)
    assert begun == ([42] if looks else [])


@pytest.mark.parametrize(("made_s", "looks"), [(0.49, False), (0.51, True)])
def test_stacks_are_looked_at_where_the_loop_makes_its_batches(
    monkeypatch: pytest.MonkeyPatch, made_s: float, looks: bool
) -> None:
    """For a tenth of five seconds; what it made before these does not count."""
    begun: list[int] = []
    monkeypatch.setattr(
        stacks, "StackSampler", lambda steps, thread, loop: begun.append(thread) or object()
    )
    steps: Any = SimpleNamespace(
        untracked_ns=0, in_training=True, forward_ns=0, backward_ns=0, making_ns=int(0.4e9)
    )
    untracked = Untracked(steps, 0)
    folder: Any = None
    untracked.look(folder, 42, LOOK_EVERY_NS)
    steps.making_ns += int(made_s * 1e9)
    untracked.look(folder, 42, 2 * LOOK_EVERY_NS)
    assert begun == ([42] if looks else [])


def test_the_loop_s_code_is_taken_where_a_loop_that_trains_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An evaluation that asks at that moment is not the loop."""
    begun: list[Any] = []
    monkeypatch.setattr(stacks, "StackSampler", lambda *args: begun.append(args) or object())
    steps: Any = SimpleNamespace(
        untracked_ns=int(9e9), in_training=False, forward_ns=0, backward_ns=0, making_ns=0
    )
    untracked = Untracked(steps, 0)
    folder: Any = None
    untracked.look(folder, 42, LOOK_EVERY_NS)
    assert begun == []
    steps.in_training, steps.untracked_ns = True, int(18e9)
    untracked.look(folder, 42, 2 * LOOK_EVERY_NS)
    ((_, thread, loop),) = begun
    own = test_the_loop_s_code_is_taken_where_a_loop_that_trains_asks
    assert thread == 42 and loop[-1] is own.__code__
