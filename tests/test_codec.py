"""Dataclasses to JSON and back."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_values import configs, floats, json_values

from perfkit.codec import from_json, json_text, to_json
from perfkit.config import RunConfig
from perfkit.errors import DamagedFile


@dataclass(frozen=True, kw_only=True)
class Leaf:
    number: float
    colour: Literal["red", "blue"] = "red"

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError(f"number is {self.number}: it should be at least 0")


@dataclass(frozen=True, kw_only=True)
class Tree:
    count: int
    name: str
    here: bool
    maybe: float | None
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    pair: tuple[str, int | None] = ("", None)
    by_name: dict[str, tuple[int, ...]] = field(default_factory=dict)
    anything: Any = None


leaves = st.builds(
    Leaf, number=st.floats(0, allow_infinity=False), colour=st.sampled_from(["red", "blue"])
)
trees = st.builds(
    Tree,
    count=st.integers(),
    name=st.text(),
    here=st.booleans(),
    maybe=st.none() | floats,
    leaf=st.none() | leaves,
    leaves=st.lists(leaves, max_size=3).map(tuple),
    pair=st.tuples(st.text(), st.none() | st.integers()),
    by_name=st.dictionaries(st.text(), st.lists(st.integers()).map(tuple), max_size=3),
    anything=json_values,
)
WHOLE = {"count": 1, "name": "oak", "here": True, "maybe": None}


@given(trees | configs)
def test_there_and_back(value: Tree | RunConfig) -> None:
    """Whatever the value, its JSON text gives it back, equal."""
    assert from_json(type(value), json.loads(json_text(to_json(value)))) == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 1.0}, "count should be int, not 1.0"),
        ({"count": True}, "count should be int, not True"),
        ({"here": 1}, "here should be bool, not 1"),
        ({"name": None}, "name should be str, not None"),
        ({"maybe": "1"}, "maybe should be float, not '1'"),
        ({"maybe": False}, "maybe should be float, not False"),
        ({"maybe": 10**400}, "maybe should be float, not 1000"),
        ({"maybe": math.inf}, "maybe should be float, not inf"),
        ({"leaf": []}, "leaf should be an object (Leaf), not []"),
        ({"leaf": {}}, "leaf.number is missing"),
        ({"leaf": {"number": -1}}, "leaf: number is -1.0: it should be at least 0"),
        ({"leaves": {}}, "leaves should be a list, not {}"),
        (
            {"leaves": [{"number": 1}, {"number": 1, "colour": "green"}]},
            "leaves.1.colour should be one of 'red', 'blue', not 'green'",
        ),
        ({"pair": ["a"]}, "pair should be a list of 2, not ['a']"),
        ({"pair": ["a", "b"]}, "pair.1 should be int, not 'b'"),
        ({"by_name": [1]}, "by_name should be an object, not [1]"),
        ({"by_name": {"x": [1, "2"]}}, "by_name.x.1 should be int, not '2'"),
    ],
)
def test_a_wrong_value_is_named(changes: dict[str, Any], message: str) -> None:
    """By its dotted path, with what should stand there and what does."""
    with pytest.raises(DamagedFile) as caught:
        from_json(Tree, WHOLE | changes)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_missing_value_is_named(name: str) -> None:
    """Unless it has a default."""
    data = {key: value for key, value in WHOLE.items() if key != name}
    with pytest.raises(DamagedFile, match=f"^{name} is missing$"):
        from_json(Tree, data)
    assert from_json(Tree, WHOLE).leaves == ()


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_what_is_no_object(data: Any) -> None:
    """The file itself is named where there is no path yet; a long value is cut."""
    with pytest.raises(DamagedFile, match="the file should be an object"):
        from_json(Tree, data)
    with pytest.raises(DamagedFile) as caught:
        from_json(Tree, "x" * 1000)
    assert len(caught.value.message) < 100


def test_unknown_keys_are_ignored() -> None:
    """A later minor version may have written them."""
    assert from_json(Tree, WHOLE | {"new": 1}) == from_json(Tree, WHOLE)


def test_a_whole_number_is_a_float_too() -> None:
    """JSON knows no difference."""
    assert from_json(Leaf, {"number": 3}) == Leaf(number=3.0)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, {"deep": [math.nan]}, {1, 2}, object(), b"bytes", Leaf]
)
def test_what_has_no_json_form_is_refused(value: Any) -> None:
    """A missing value is None, and there is nothing to guess."""
    with pytest.raises(ValueError, match="JSON"):
        to_json(value)


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_can_be_written(text: str) -> None:
    """Also a file name that is no UTF-8: its lone surrogates are escaped, and come back."""
    written = json_text({"text": text}).encode("utf-8")
    back = json.loads(written)["text"]
    # two halves of one character, side by side, are that character to JSON
    assert back == text or back.encode("utf-16", "surrogatepass") == text.encode(
        "utf-16", "surrogatepass"
    )
