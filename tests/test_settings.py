"""A workload's own settings: what one may be, how its values are read and written, which are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.codec import from_json, to_json
from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.runfolder import RunFolder
from perfkit.settings import Setting, Value, parsed, unknown, written

FIRST_FORMAT = Path(__file__).parent / "golden" / "config-v1.json"
"""The config.json of a run folder of the first format."""


@given(st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_is_read_as_what_it_was(value: Value) -> None:
    """Whatever its type, and without a plus sign, which joins variants."""
    text = written(value)
    found = parsed("x", text, value)
    assert found == value and type(found) is type(value)
    assert "+" not in text


@pytest.mark.parametrize(
    ("text", "like", "value"),
    [
        ("04", 1, 4),
        ("-3", 1, -3),
        ("2", 0.5, 2.0),
        ("1e-3", 0.5, 0.001),
        ("1", False, True),
        ("04", "a", "04"),
    ],
)
def test_text_is_read_as_the_default_is(text: str, like: Value, value: Value) -> None:
    """A whole number as one, a number as a float, 0 and 1 as a bool, text as it stands."""
    found = parsed("x", text, like)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "like", "says"),
    [
        ("1.5", 1, "a whole number"),
        ("٣", 1, "a whole number"),
        ("", 1, "a whole number"),
        ("nan", 0.5, "a number"),
        ("inf", 0.5, "a number"),
        ("wide", 0.5, "a number"),
        ("yes", True, "0 or 1"),
    ],
)
def test_what_is_no_value_is_refused(text: str, like: Value, says: str) -> None:
    """With the setting's name and what its value should be."""
    with pytest.raises(UsageError, match=f"^width={text}: the value should be {says}$"):
        parsed("width", text, like)


WIDTH = Setting("width", 64, "Units of the hidden layer.", least=8, most=512)
RATE = Setting("rate", 0.5, "Part of the units that is dropped.", least=0, most=1)
KIND = Setting("kind", "gelu", "What follows it.", choices=("gelu", "relu"))


@pytest.mark.parametrize(
    ("setting", "allowed", "refused", "says"),
    [
        (WIDTH, 8, 7, "width is 7: it should be at least 8"),
        (WIDTH, 512, 513, "width is 513: it should be at most 512"),
        (WIDTH, 64, 64.0, "width is 64.0: it should be a whole number"),
        (WIDTH, 64, True, "width is True: it should be a whole number"),
        (RATE, 1, 1.01, "rate is 1.01: it should be at most 1"),
        (RATE, 0.0, float("nan"), "rate is nan: it should be finite"),
        (KIND, "relu", "tanh", "kind is tanh: it should be gelu or relu"),
        (KIND, "gelu", 1, "kind is 1: it should be a text"),
    ],
)
def test_bounds_hold(setting: Setting, allowed: Any, refused: Any, says: str) -> None:
    """The bound itself is allowed, the next is refused by name."""
    setting.check(allowed)
    with pytest.raises(ValueError, match=f"^{says}$"):
        setting.check(refused)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("two words", 1, "One line."), "is no name"),
        (("x", None, "One line."), "its default is a NoneType"),
        (("x", 1, ""), "no line that says what it is"),
    ],
)
def test_a_setting_that_cannot_be(arguments: Any, says: str) -> None:
    """The mistake of a workload's author is told where it is made; so is a default out of bounds."""
    with pytest.raises(ValueError, match=says):
        Setting(*arguments)
    with pytest.raises(ValueError, match="x is 1: it should be at least 2"):
        Setting("x", 1, "One line.", least=2)


def test_a_setting_crosses_a_process() -> None:
    """As JSON, and comes back equal."""
    for setting in (WIDTH, RATE, KIND):
        assert from_json(Setting, json.loads(json.dumps(to_json(setting)))) == setting


@pytest.mark.parametrize(
    ("name", "known", "variants", "hint"),
    [
        ("widht", ["width", "depth"], [], "did you mean width?"),
        ("num_worker", ["width"], ["num_workers", "amp"], "did you mean num_workers?"),
        ("zzz", ["width", "depth"], ["amp"], "it has depth, width"),
        ("zzz", [], [], "it has none: SETTINGS in its file declares them"),
    ],
)
def test_the_nearest_name_is_the_hint(
    name: str, known: list[str], variants: list[str], hint: str
) -> None:
    """Else all that there are."""
    error = unknown("mine.py:factory", name, known, variants)
    assert error.message == f"mine.py:factory has no setting {name}"
    assert error.hint == hint


def test_a_run_folder_of_the_first_format_is_read(tmp_path: Path) -> None:
    """What every training had then is the workload's own now; what a flag had changed is named as chosen."""
    config = from_json(RunConfig, json.loads(FIRST_FORMAT.read_text(encoding="utf-8")))
    assert config.workload == {
        "data": "jpeg", "eval_samples": 256, "image_size": 32, "base_channels": 48, "num_blocks": 4,
        "metrics_every": 10, "viz_every": 0,
    }  # fmt: skip
    assert config.workload_chosen == ("base_channels", "viz_every")
    assert (config.batch_size, config.num_workers, config.malloc) == (16, 1, "keep")
    folder = RunFolder.create(tmp_path / "run", config)
    (folder.path / "config.json").write_bytes(FIRST_FORMAT.read_bytes())
    assert folder.config() == config
    assert from_json(RunConfig, to_json(config)) == config
