"""The flags that shape a training process: once for all commands, and typed once they are read."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import typer
from click import Command

from perfkit.cli.main import app
from perfkit.cli.options import Training
from perfkit.errors import UsageError
from perfkit.study.request import TrainingSettings

PANEL = "Settings of the training"


@pytest.fixture(scope="module")
def commands() -> dict[str, Command]:
    """Every command of the command line, by name."""
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def test_commands_that_train_have_the_same_flags(commands: dict[str, Command]) -> None:
    """In one order, with the same texts; each is a field of `Training` and nothing else."""
    of_each = [
        [
            (one.name, one.opts, one.secondary_opts, one.help, one.metavar, one.default)
            for one in commands[name].params
            if getattr(one, "rich_help_panel", None) == PANEL
        ]
        for name in ("bench", "diagnose")
    ]
    assert of_each[0] == of_each[1]
    assert [flag[0] for flag in of_each[0]] == [field.name for field in fields(Training)]
    assert not any(one.name == "training" for one in commands["bench"].params)


def test_what_is_not_given_is_not_asked_for() -> None:
    """The machine decides, or the workload."""
    assert Training().settings() == TrainingSettings()
    assert Training().settings().of_config() == {}


def test_flags_become_settings() -> None:
    """Texts become numbers; a workload's own settings lie together, whichever flag named them."""
    flags = Training(
        device="cuda:1",
        data="memory",
        batch_size="64",
        memory_limit="2KiB",
        pin_memory=False,
        threads=3,
        num_blocks=2,
        set_=["width=8"],
    )
    assert flags.settings() == TrainingSettings(
        device="cuda:1",
        batch_size=64,
        memory_limit_bytes=2048,
        pin_memory=False,
        num_threads=3,
        workload={"data": "memory", "num_blocks": "2", "width": "8"},
    )
    largest = Training(batch_size="max").settings()
    assert largest == TrainingSettings(largest_batch=True)


@pytest.mark.parametrize(
    ("flags", "field", "message"),
    [
        ({"batch_size": "many"}, "--batch-size", "is 'many': it should be a whole number, or max"),
        ({"memory_limit": "much"}, "--memory-limit", "'much' is no size"),
        ({"set_": ["width"]}, "--set", "width: it should be NAME=VALUE"),
        ({"set_": ["=8"]}, "--set", "=8: it should be NAME=VALUE"),
        ({"set_": ["a=1", "a=2"]}, "--set", "a=2: a is set twice"),
        ({"num_blocks": 1, "set_": ["num_blocks=2"]}, "--set", "num_blocks=2: num_blocks is set"),
    ],
)
def test_what_cannot_be_read_names_its_flag(
    flags: dict[str, Any], field: str, message: str
) -> None:
    """The error carries it, and the message begins with it."""
    with pytest.raises(UsageError) as caught:
        Training(**flags).settings()
    assert caught.value.field == field
    assert caught.value.message.startswith(f"{field} {message}")
