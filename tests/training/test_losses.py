"""Losses by seed: the same seed gives the same losses, whatever the precision does to the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_training import BATCH
from torch import nn

from perfkit.config import RunConfig
from perfkit.runfolder import RunFolder
from perfkit.training import losses
from perfkit.training.commands import Commands

PLUGINS = Path(__file__).parents[1] / "plugins"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The tiny training, in this process."""
    monkeypatch.setenv("PERFKIT_PATH", str(PLUGINS))
    config = RunConfig(arch="tiny", batch_size=BATCH, num_samples=10 * BATCH)
    return Commands(RunFolder.create(tmp_path / "run", config))


def test_a_trace_depends_on_its_seed_alone(commands: Commands) -> None:
    """Not on what was trained before; another seed has other losses."""
    first = losses.trace(commands.loop, 0)
    other = losses.trace(commands.loop, 1)
    assert losses.trace(commands.loop, 0) == first
    assert other != first
    assert len(first) == losses.STEPS
    assert first[-1] < first[0]


def test_randomness_is_off() -> None:
    """Dropout drops nothing, and stochastic depth keeps every branch."""
    from perfkit.training.workloads.convnext import StochasticDepth

    model = nn.Sequential(nn.Dropout(0.5), StochasticDepth(0.8))
    losses._switch_off_randomness(model)
    assert model[0].p == 0.0
    assert float(model[1].keep_probability) == 1.0
