"""What launching a step costs: how often it is timed."""

from __future__ import annotations

import pytest
import torch

from perfkit.training import dispatching


@pytest.mark.parametrize(
    ("most_s", "rounds"), [(0.0, dispatching.LEAST_ROUNDS), (1e9, dispatching.ROUNDS)]
)
def test_long_steps_are_timed_in_fewer_rounds(
    monkeypatch: pytest.MonkeyPatch, most_s: float, rounds: int
) -> None:
    """Besides the first round, which sets up, and the step whose operators are counted."""
    monkeypatch.setattr(dispatching, "MOST_S", most_s)
    steps: list[str] = []
    found = dispatching.launching(steps.append, ["whole"], ["small"], torch.device("cpu"))
    assert steps.count("small") == dispatching.STEPS * (rounds + 1)
    assert steps.count("whole") == dispatching.STEPS * (rounds + 1) + 1
    assert found.operators == 0 and found.fixed_share is not None
