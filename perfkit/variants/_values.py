"""Reading the values that variants take."""

from __future__ import annotations

from perfkit.errors import UsageError


def whole(name: str, value: str | None, minimum: int) -> str:
    """Return a whole number of at least `minimum` in its plain form (`04` becomes `4`).

    Raises:
        UsageError: it is not one.
    """
    if value is not None and value.isascii() and value.isdecimal() and int(value) >= minimum:
        return str(int(value))
    raise UsageError(
        f"{name}={value or ''}: the value should be a whole number of at least {minimum}",
        hint=f"for example {name}={max(minimum, 4)}",
    )


def switch(name: str, value: str | None) -> str:
    """Return `0` or `1`.

    Raises:
        UsageError: it is neither.
    """
    if value in ("0", "1"):
        return str(value)
    raise UsageError(f"{name}={value or ''}: the value should be 0 or 1")


def one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    """Return `value`, one of `choices`.

    Raises:
        UsageError: it is none of them.
    """
    if value in choices:
        return value
    raise UsageError(f"{name}={value}: the value should be one of {', '.join(choices)}")
