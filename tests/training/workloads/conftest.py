"""A small tree of generated images, made once, and the smallest configuration that trains on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfkit.config import RunConfig
from perfkit.training.workloads import _jpegs

SMALL = _jpegs.Sizes(classes=4, train_per_class=6, eval_per_class=3, side=24)


@pytest.fixture(scope="session")
def sizes() -> _jpegs.Sizes:
    """Four classes of nine files."""
    return SMALL


@pytest.fixture(scope="session")
def small_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the small tree; not to be changed."""
    cache = tmp_path_factory.mktemp("small")
    _jpegs.make(cache, lambda done, total, path: None, SMALL)
    return cache


@pytest.fixture
def config(small_cache: Path) -> RunConfig:
    """A ConvNeXt of three blocks on images of 16 pixels."""
    return RunConfig(
        arch="convnext",
        cache_dir=str(small_cache),
        batch_size=8,
        num_samples=40,
        workload={
            "data": "jpeg",
            "eval_samples": 12,
            "image_size": 16,
            "base_channels": 8,
            "num_blocks": 1,
            "metrics_every": 1,
            "viz_every": 1,
        },
    )
