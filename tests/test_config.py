"""RunConfig: what it refuses, what it derives, and that it comes back whole."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from stored_values import configs

from perfkit.codec import from_json, json_text, to_json
from perfkit.config import RunConfig
from perfkit.errors import DamagedFile

LEAST = {
    **dict.fromkeys(("batch_size", "lr_batch_size", "num_samples", "accumulate"), 1),
    **dict.fromkeys(("prefetch_factor",), 1),
    **dict.fromkeys(("epochs", "num_threads"), 1),
    **dict.fromkeys(("num_workers", "seed"), 0),
}
"""By field, the least value that it may have."""


@given(configs)
def test_it_comes_back_whole(config: RunConfig) -> None:
    """From the text that crosses the process boundary, pairs and tuples as they were."""
    assert from_json(RunConfig, json.loads(json_text(to_json(config)))) == config


@pytest.mark.parametrize("name", sorted(LEAST))
def test_counts_have_a_least_value(name: str) -> None:
    """The least is allowed, one less is an error that names its field."""
    least: Any = LEAST[name]
    assert getattr(RunConfig(arch="x", **{name: least}), name) == least
    with pytest.raises(ValueError, match=f"^{name} is {least - 1}: it should be at least {least}$"):
        RunConfig(arch="x", **{name: least - 1})


def test_every_count_is_checked() -> None:
    """A field added later has a least value, too."""
    counts = {field.name for field in dataclasses.fields(RunConfig) if field.type == "int"}
    assert counts == set(LEAST)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"learning_rate": math.inf}, "learning_rate"),
        ({"devices": ()}, "devices"),
        ({"parallel": "tp"}, "parallel"),
    ],
)
def test_other_settings_no_training_can_have(changes: dict[str, Any], field: str) -> None:
    """The message begins with the field."""
    with pytest.raises(ValueError, match=f"^{field} "):
        RunConfig(arch="x", **changes)


def test_it_is_frozen() -> None:
    """A change is a new configuration, checked again."""
    config = RunConfig(arch="x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.batch_size = 0  # type: ignore[misc]
    with pytest.raises(ValueError, match="batch_size"):
        dataclasses.replace(config, batch_size=0)


def test_what_follows_from_it() -> None:
    """Whole batches, what is left over, the loader's queue, the first device."""
    config = RunConfig(
        arch="x", num_samples=100, batch_size=16, num_workers=3, devices=("cuda:1", "cuda:0")
    )
    assert (config.steps_per_epoch, config.partial_batch) == (6, 4)
    assert (config.queue_capacity, config.device) == (6, "cuda:1")
    assert RunConfig(arch="x", num_samples=96).partial_batch == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch": None}, "arch should be str"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": "16"}, "batch_size should be int"),
        ({"devices": "cpu"}, "devices should be a list"),
        ({"variants": [["amp"]]}, "variants.0 should be a list of 2"),
        ({"variants": [["amp", 1]]}, "variants.0.1 should be str"),
        ({"parallel": "tp"}, "parallel should be one of 'none', 'dp', 'ddp'"),
    ],
)
def test_a_damaged_one_names_its_field(changes: dict[str, Any], message: str) -> None:
    """What was stored is checked like what is asked for."""
    with pytest.raises(DamagedFile) as caught:
        from_json(RunConfig, to_json(RunConfig(arch="x")) | changes)
    assert message in caught.value.message
