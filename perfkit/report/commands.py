"""Command lines inside a report: what to run again, with a flag set."""

from __future__ import annotations

import shlex

from perfkit.report.columns import plain


def words(command: str) -> list[str]:
    """Return the words of a command line; of one that a shell would refuse, its pieces."""
    try:
        return shlex.split(plain(command))
    except ValueError:
        return plain(command).split()


def with_flag(command: str, flag: str, value: int) -> str:
    """Return a command line with a flag set, in place of what it said before."""
    kept: list[str] = []
    left = iter(words(command))
    for word in left:
        if word == flag:
            next(left, None)
        elif not word.startswith(f"{flag}="):
            kept.append(word)
    return shlex.join([*kept, flag, str(value)])
