"""A setting that belongs to one workload: its name, its default, what it may be, one line of what it is.

A workload declares those it has:

    SETTINGS = (
        Setting("width", 64, "Units of the hidden layer.", least=1),
        Setting("activation", "gelu", "What follows it.", choices=("gelu", "relu")),
        Setting("plot_every", 10, "Epochs between plots.", least=0, changes_training=False),
    )

and reads them as `config.workload["width"]`. Each is `--set NAME=VALUE`, a sweep and a variant.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from difflib import get_close_matches

from perfkit.errors import UsageError

Value = bool | int | float | str
"""A bool is written 0 or 1."""
FLAGGED = ("data", "image_size", "base_channels", "num_blocks", "metrics_every", "viz_every")
"""Settings with flags of their own names beside `--set`."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_WHOLE = re.compile(r"-?[0-9]+")


@dataclass(frozen=True)
class Setting:
    """One setting; its values are of its default's type.

    Raises:
        ValueError: the name is none that a flag can have, there is no description, or the default is out of
            bounds.
    """

    name: str
    default: Value
    doc: str
    """One line."""
    _: KW_ONLY
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    changes_training: bool = True
    """Whether weights and losses depend on it; what is done between epochs changes neither."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name: letters, digits and underscores make one")
        if not isinstance(self.default, (bool, int, float, str)):
            raise ValueError(
                f"{self.name}: its default is a {type(self.default).__name__}, and should be a number,"
                " a bool or a text"
            )
        if not self.doc:
            raise ValueError(f"{self.name} has no line that says what it is")
        self.check(self.default)

    def check(self, value: Value) -> None:
        """Refuse a value that the setting cannot have.

        Raises:
            ValueError: it is of another type or out of bounds; the message begins with the name.
        """
        kind = type(self.default)
        # JSON and flags write a whole float like an int
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise ValueError(f"{self.name} is {value!r}: it should be {_KINDS[kind]}")
        if self.choices and value not in self.choices:
            raise ValueError(f"{self.name} is {value}: it should be {' or '.join(self.choices)}")
        if isinstance(value, (bool, str)):
            return
        if not math.isfinite(value):
            raise ValueError(f"{self.name} is {value}: it should be finite")
        if self.least is not None and value < self.least:
            raise ValueError(f"{self.name} is {value}: it should be at least {self.least:g}")
        if self.most is not None and value > self.most:
            raise ValueError(f"{self.name} is {value}: it should be at most {self.most:g}")


_KINDS = {bool: "0 or 1", int: "a whole number", float: "a number", str: "a text"}


def parsed(name: str, text: str, like: Value) -> Value:
    """Read a setting's value from text, as one of the type of `like`.

    Raises:
        UsageError: it is none.
    """
    kind = type(like)
    if kind is str:
        return text
    if kind is bool and text in ("0", "1"):
        return text == "1"
    if kind is int and _WHOLE.fullmatch(text):
        return int(text)
    if kind is float:
        with contextlib.suppress(ValueError):
            value = float(text)
            if math.isfinite(value):
                return value
    raise UsageError(f"{name}={text}: the value should be {_KINDS[kind]}")


def written(value: Value) -> str:
    """Return a value as variants and `--set` write it."""
    if isinstance(value, bool):
        return str(int(value))
    # a plus sign joins variants
    return repr(value).replace("e+", "e") if isinstance(value, float) else str(value)


def unknown(arch: str, name: str, known: Iterable[str], variants: Iterable[str] = ()) -> UsageError:
    """Return the error for a setting that a workload does not have, with the nearest names as a hint.

    Args:
        known: the settings that it has.
        variants: names that could have been meant where a variant was asked for.
    """
    names = sorted(known)
    near = get_close_matches(name, [*names, *variants], n=3, cutoff=0.7)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif names:
        hint = f"it has {', '.join(names)}"
    else:
        hint = "it has none: SETTINGS in its file declares them"
    return UsageError(f"{arch} has no setting {name}", hint=hint)
