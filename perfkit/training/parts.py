"""Measured is measured: what follows the timed blocks can cost its own value, and never the row."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import TypeVar

from perfkit.training.failures import classify

T = TypeVar("T")
_REASONS = {
    "oom": "no_memory",
    "timeout": "timeout",
    "killed": "killed",
    "unsupported": "not_supported",
}
"""Reason code by the status that the row would have had; any other is `failed`."""


class Parts:
    """The parts of one answer, each of which may be lost alone."""

    def __init__(self) -> None:
        self.lost: dict[str, str] = {}
        """What happened, by the part's name."""
        self.unavailable: dict[str, str] = {}
        """Its reason code, by the same name."""

    def measure(
        self, name: str, once: Callable[[], T], recover: Callable[[], object] | None = None
    ) -> T | None:
        """Measure one part; None when that failed.

        Args:
            recover: puts back in order what the failure may have left half-way.
        """
        try:
            return once()
        except (Exception, SystemExit) as error:
            self.lose(name, error)
        # outside the handler: the traceback has let go of iterators and their workers by now
        if recover is not None:
            self._recover(name, recover)
        return None

    def lose(self, name: str, error: BaseException) -> None:
        """Note that a part is lost, and why; the whole traceback goes to the log."""
        status, message = classify(error)
        self.lost[name] = message
        self.unavailable[name] = _REASONS.get(status, "failed")
        print(f"perfkit: {name} is lost", file=sys.stderr)
        traceback.print_exception(error)

    def missing(self, name: str, reason: str, what: str | None = None) -> None:
        """Note a part that there is none of, and what happened where something did."""
        self.unavailable[name] = reason
        if what is not None:
            self.lost[name] = what

    def _recover(self, name: str, recover: Callable[[], object]) -> None:
        try:
            recover()
        except Exception:
            # the next part will say so if it matters to it
            print(f"perfkit: {name} could not be tidied up after", file=sys.stderr)
            traceback.print_exc()

    def answer(self) -> dict[str, dict[str, str]]:
        """Both, as they stand in an answer."""
        return {"lost": self.lost, "unavailable": self.unavailable}
