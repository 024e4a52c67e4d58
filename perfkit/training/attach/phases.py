"""Phases that a script names itself: sums, told at most every two seconds."""

from __future__ import annotations

from perfkit.training.attach.folder import ProcessFolder

TELL_EVERY_NS = 2_000_000_000


class Phases:
    """How often each phase of the script's own was gone through, and how long that took in all."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[int, int]] = {}
        self._untold: set[str] = set()
        self._tell_at_ns = 0

    def add(self, folder: ProcessFolder, name: str, spent_ns: int, now_ns: int) -> None:
        """Count a phase that has just ended."""
        count, sum_ns = self._sums.get(name, (0, 0))
        self._sums[name] = count + 1, sum_ns + spent_ns
        self._untold.add(name)
        if now_ns >= self._tell_at_ns:
            self._tell_at_ns = now_ns + TELL_EVERY_NS
            self.write(folder)

    def write(self, folder: ProcessFolder) -> None:
        """Append the sums that have changed."""
        for name in sorted(self._untold):
            count, sum_ns = self._sums[name]
            folder.event("phases", name=name, count=count, seconds=sum_ns * 1e-9)
        self._untold.clear()
