"""When the stacks of the training thread are looked at."""

from __future__ import annotations

from types import CodeType, FrameType, SimpleNamespace
from typing import Any

import pytest

from perfkit.training.attach import untracked as looking
from perfkit.training.attach.untracked import LOOK_EVERY_NS, Untracked
from perfkit.training.probe.frames import users_codes, users_line


class Sampler:
    """One that samples nothing; it keeps where the loop asked."""

    def __init__(self, steps: Any, thread: int) -> None:
        self.thread = thread
        self.looked: list[tuple[CodeType, int]] = []

    def look_at_loop(self, frame: FrameType) -> None:
        self.looked.append((users_codes(frame)[-1], users_line(frame)))


def samplers(monkeypatch: pytest.MonkeyPatch) -> list[Sampler]:
    """Those that are begun from now on."""
    begun: list[Sampler] = []

    def begin(steps: Any, thread: int) -> Sampler:
        begun.append(Sampler(steps, thread))
        return begun[-1]

    monkeypatch.setattr(looking, "StackSampler", begin)
    return begun


@pytest.mark.parametrize(
    ("kind", "seconds", "looks"),
    [
        ("untracked_ns", 0.49, False),
        ("untracked_ns", 0.51, True),
        ("making_ns", 0.49, False),
        ("making_ns", 0.51, True),
        ("update_ns", 1.24, False),
        ("update_ns", 1.26, True),
    ],
)
def test_stacks_are_looked_at_where_much_is_untracked_makes_batches_or_updates(
    monkeypatch: pytest.MonkeyPatch, kind: str, seconds: float, looks: bool
) -> None:
    """Of five seconds; what was before them does not count."""
    begun = samplers(monkeypatch)
    sums = {"untracked_ns": 0, "making_ns": 0, "update_ns": 0} | {kind: int(0.4e9)}
    steps: Any = SimpleNamespace(in_training=True, forward_ns=0, backward_ns=0, **sums)
    untracked = Untracked(steps, 0)
    folder: Any = None
    untracked.look(folder, 42, LOOK_EVERY_NS)
    setattr(steps, kind, getattr(steps, kind) + int(seconds * 1e9))
    untracked.look(folder, 42, 2 * LOOK_EVERY_NS - 1)
    assert begun == []
    untracked.look(folder, 42, 2 * LOOK_EVERY_NS)
    assert [one.thread for one in begun] == ([42] if looks else [])


@pytest.mark.parametrize(
    ("forward_s", "backward_s", "looks"),
    [(2.0, 1.9, True), (2.0, 2.1, False), (0.49, 0.1, False), (0.51, 0.1, True)],
)
def test_stacks_are_looked_at_where_forwards_take_longer_than_backwards(
    monkeypatch: pytest.MonkeyPatch, forward_s: float, backward_s: float, looks: bool
) -> None:
    """And a tenth of five seconds; what came before these does not count."""
    begun = samplers(monkeypatch)
    steps: Any = SimpleNamespace(untracked_ns=0, in_training=True, making_ns=0, update_ns=0)
    steps.forward_ns, steps.backward_ns = int(1e9), int(3e9)
    untracked = Untracked(steps, 0)
    folder: Any = None
    untracked.look(folder, 42, LOOK_EVERY_NS)
    steps.forward_ns += int(forward_s * 1e9)
    steps.backward_ns += int(backward_s * 1e9)
    untracked.look(folder, 42, 2 * LOOK_EVERY_NS)
    assert [one.thread for one in begun] == ([42] if looks else [])


def test_the_loop_s_code_is_taken_where_a_loop_that_trains_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An evaluation that asks at that moment is not the loop, which is looked at when it asks next."""
    begun = samplers(monkeypatch)
    steps: Any = SimpleNamespace(
        untracked_ns=int(9e9),
        in_training=False,
        forward_ns=0,
        backward_ns=0,
        update_ns=0,
        making_ns=0,
    )
    untracked = Untracked(steps, 0)
    folder: Any = None
    untracked.look(folder, 42, LOOK_EVERY_NS)
    assert begun == []
    steps.in_training = True
    untracked.look(folder, 42, LOOK_EVERY_NS + 1)
    (sampler,) = begun
    own = test_the_loop_s_code_is_taken_where_a_loop_that_trains_asks.__code__
    code, line = sampler.looked[-1]
    assert sampler.thread == 42 and code is own
    assert own.co_firstlineno < line < own.co_firstlineno + 30
