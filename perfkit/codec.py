"""Frozen dataclasses to JSON and back, strictly.

`to_json` and `from_json` are inverse on every type that crosses a process or is stored: dataclasses
of int, float, str, bool, None, Literal, unions of these, tuples, and dicts with string keys. A value
of the wrong type is an error that names it by its dotted path (`rows.0.speedup.low`), never a guess.
JSON has no NaN: a float that is not finite is refused, written or read, because a missing value is null.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from functools import cache
from typing import Any, TypeVar

from perfkit.errors import DamagedFile

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """Return `value` as JSON types: dataclasses become dicts, tuples become lists.

    Raises:
        ValueError: a float is NaN or infinite, or a type has no JSON form.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    if isinstance(value, dict):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} has no JSON form: a missing value is None")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(f"{type(value).__name__} has no JSON form")


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return JSON types as text that UTF-8 can hold.

    A file name that is no UTF-8 reaches us with lone surrogates in it; they are escaped, and come back.

    Raises:
        ValueError: a float is NaN or infinite.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode()


def from_json(kind: type[T], data: Any, *, path: str = "") -> T:
    """Rebuild a `kind` from what `to_json` gave.

    Keys that `kind` does not know are ignored, so that a later minor version stays readable.

    Raises:
        DamagedFile: a key is missing or a value has the wrong type; the message names its path.
    """
    return typing.cast(T, _decode(kind, data, path))


def _decode(kind: Any, data: Any, path: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any:
        return data
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, data, path)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(typing.get_args(kind), data, path)
    if origin is typing.Literal:
        if data in typing.get_args(kind):
            return data
        raise _wrong(path, f"one of {', '.join(map(repr, typing.get_args(kind)))}", data)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), data, path)
    if origin is dict:
        if not isinstance(data, dict):
            raise _wrong(path, "an object", data)
        value_kind = typing.get_args(kind)[1]
        return {k: _decode(value_kind, v, _join(path, k)) for k, v in data.items()}
    if kind is float and _is_finite(data):
        return float(data)
    if kind is type(None) and data is None:
        return None
    if kind in (int, str, bool) and type(data) is kind:
        return data
    raise _wrong(path, getattr(kind, "__name__", str(kind)), data)


def _decode_dataclass(kind: Any, data: Any, path: str) -> Any:
    if not isinstance(data, dict):
        raise _wrong(path, f"an object ({kind.__name__})", data)
    upgrade = getattr(kind, "of_earlier_format", None)
    if upgrade is not None:
        data = upgrade(data)
    hints = _hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        if field.name in data:
            at = _join(path, field.name)
            values[field.name] = _decode(hints[field.name], data[field.name], at)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise DamagedFile(f"{_join(path, field.name)} is missing")
    try:
        return kind(**values)
    except ValueError as error:
        raise DamagedFile(f"{path or kind.__name__}: {error}") from error


def _decode_union(members: tuple[Any, ...], data: Any, path: str) -> Any:
    if data is None and type(None) in members:
        return None
    failure: DamagedFile | None = None
    for member in members:
        if member is type(None):
            continue
        try:
            return _decode(member, data, path)
        except DamagedFile as error:
            failure = failure or error
    raise failure or _wrong(path, "null", data)


def _decode_tuple(members: tuple[Any, ...], data: Any, path: str) -> Any:
    if not isinstance(data, list):
        raise _wrong(path, "a list", data)
    if len(members) == 2 and members[1] is Ellipsis:
        return tuple(_decode(members[0], v, _join(path, str(i))) for i, v in enumerate(data))
    if len(members) != len(data):
        raise _wrong(path, f"a list of {len(members)}", data)
    pairs = enumerate(zip(members, data, strict=True))
    return tuple(_decode(m, v, _join(path, str(i))) for i, (m, v) in pairs)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _is_finite(data: Any) -> bool:
    if isinstance(data, bool) or not isinstance(data, (int, float)):
        return False
    try:
        return math.isfinite(data)
    except OverflowError:  # a whole number past the range of floats
        return False


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _wrong(path: str, wanted: str, got: Any) -> DamagedFile:
    shown = repr(got)
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    return DamagedFile(f"{path or 'the file'} should be {wanted}, not {shown}")
