"""Errors a user can meet: what was asked, what is wrong with it, what to do.

Every error carries a message, an optional hint and the exit code of the command that meets it.
The command line prints `error: <message>` and `hint: <hint>`; nothing else of ours prints errors.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_BUG = 3
EXIT_INCONCLUSIVE = 4
EXIT_INTERRUPTED = 130
NO_SPACE = "no space left to record to"
"""How the message of a row begins whose process could not write down what it measured."""


class PerfkitError(Exception):
    """Something went wrong that is not a bug of perfkit.

    Args:
        message: what was asked and what is wrong with it, one sentence.
        hint: what to do about it, one sentence; None when there is nothing to do.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(PerfkitError):
    """What was asked cannot be done: an unknown name, a bad value, a missing or damaged file.

    Args:
        field: the flag that it is about; the message then begins with it, and `message` is what follows.
    """

    exit_code = EXIT_USAGE

    def __init__(self, message: str, *, hint: str | None = None, field: str | None = None) -> None:
        super().__init__(message if field is None else f"{field} {message}", hint=hint)
        self.field = field


class BadValue(ValueError):
    """A field has a value that it cannot have.

    Args:
        field: its name.
        problem: what follows the name in the message.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field
        self.problem = problem


class DamagedFile(UsageError):
    """A file of ours that cannot be read back: truncated, edited or not ours at all."""


class LaterVersion(UsageError):
    """A file written by a later perfkit than this one."""
