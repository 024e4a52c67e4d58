"""A profiled burst of a real training, and what launching its operators costs."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from perfkit.engine import trace
from perfkit.training import dispatching, profiling
from perfkit.training.probe import burst

CPU = torch.device("cpu")


def test_a_burst_names_the_costly_operators(player: Any) -> None:
    """On a CPU there is no kernel to be busy with; the trace lies in the run folder."""
    commands = player()
    told = commands.do_profile(0.4, stacks=False)
    assert (told["traced"], told["synchronising"], told["lost"]) == (True, None, {})
    found = trace.read(commands._folder.rank(0).trace)
    assert (found.steps, found.busy_s, found.launches) == (5, None, None)
    assert any("addmm" in o.name or "linear" in o.name for o in found.operators)
    assert 0 < sum(o.share for o in found.operators) <= 1
    assert {o.where for o in found.operators} == {None}


def test_with_stacks_an_operator_has_a_place(player: Any) -> None:
    """File, first line and name of the function that called it."""
    commands = player()
    assert commands.do_profile(10.0, stacks=True)["traced"]
    found = trace.read(commands._folder.rank(0).trace)
    places = {o.where for o in found.operators if o.where}
    assert any("small_training.py" in place and "(forward)" in place for place in places)


class Chain(nn.Module):
    """A thousand operators on next to nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.out = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.scale
        for _ in range(500):
            scale = scale * 1.0
        return self.out(x) * scale  # type: ignore[no-any-return]


TRIES = 5
"""On a full machine a step of so many operators grows more than a chain of one thread does, at times."""


class Wide(nn.Module):
    """Few operators, each of which computes for long."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 2048), nn.ReLU(), nn.Linear(2048, 2048))
        self.out = nn.Linear(2048, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.layers(x))  # type: ignore[no-any-return]


def test_many_small_operators_are_launching_and_few_large_ones_are_not(player: Any) -> None:
    """Both witnesses: a step that hardly depends on its samples, and operators × dispatch against it."""
    training = player({"model_of": Chain})
    for _ in range(TRIES):
        chain = training.do_profile(0.01, stacks=False)["dispatch"]
        # five hundred products, and at least as many in the backward pass
        assert chain["operators"] > 1000
        if chain["fixed_share"] > 0.7 and 0.4 < chain["operators_share"] < 3:
            return
    raise AssertionError(f"never in {TRIES} tries: {chain}")


def test_few_large_operators(player: Any) -> None:
    """They take longer the more samples there are."""
    wide = player({"model_of": Wide}, batch_size=512, num_samples=512)
    found = wide.do_profile(0.05, stacks=False)["dispatch"]
    assert found["operators"] < 200
    assert found["fixed_share"] < 0.7
    assert found["operators_share"] < 0.4


@pytest.mark.parametrize(
    ("settings", "step_s", "reason"),
    [
        ({"variants": (("compile", "default"),)}, 0.1, "not_applicable"),
        ({}, profiling.LONG_STEP_S * 2, "no_time"),
    ],
)
def test_launching_is_not_tried_where_it_cannot_be_told(
    player: Any,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    step_s: float,
    reason: str,
) -> None:
    """A compiled step would be compiled anew; a long one is not bound by launching."""
    monkeypatch.setattr(torch, "compile", lambda model, **options: model)
    told = player(**settings).do_profile(step_s, stacks=False)
    assert (told["dispatch"], told["unavailable"]["dispatch"]) == (None, reason)


def test_what_fails_is_lost_alone(player: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profiler that cannot start costs the burst; what launching costs is told all the same."""

    def refuse(*args: Any, **options: Any) -> Any:
        raise RuntimeError("CUPTI is held by another profiler")

    monkeypatch.setattr(burst, "profile", refuse)
    told = player().do_profile(0.01, stacks=False)
    assert told["traced"] is False
    assert told["unavailable"] == {"burst": "failed"}
    assert "CUPTI" in told["lost"]["burst"]
    assert told["dispatch"]["operators"] > 0


def test_two_samples_are_not_held_against_two(player: Any) -> None:
    """A batch of two is the small one itself."""
    told = player(batch_size=dispatching.SMALL)
    assert told.do_profile(0.01, stacks=False)["dispatch"]["fixed_share"] is None


def test_a_place_is_the_users_and_else_torchs() -> None:
    """The innermost line that is neither torch's nor perfkit's; here this file's."""
    place = burst.at_home(__file__)
    here = burst.place_of(sys._getframe(0))
    assert here.startswith(place)
    called: list[str] = []

    def note(*_: object) -> None:
        called.append(burst.place_of(sys._getframe(1)))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
    assert called[0].startswith(place)
