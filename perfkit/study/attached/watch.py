"""Watching the folders of training processes while a command runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Literal

from perfkit import documentfile as documents
from perfkit.document import Document, Note
from perfkit.errors import PerfkitError
from perfkit.runfolder import StudyFolder
from perfkit.study.attached import answer, live, ranks
from perfkit.study.attached.answer import Head
from perfkit.study.attached.live import Moments
from perfkit.study.attached.load import LoadWatch
from perfkit.study.attached.read import Recorded, process_folders, read_process, steps_so_far
from perfkit.study.attached.request import RunRequest

Moment = Literal["first", "changed", "limit"]


@dataclass(frozen=True)
class Said:
    """A Document that is worth saying while the script goes on, and why."""

    document: Document
    moment: Moment


@dataclass
class Watch:
    """What is known of a command that runs.

    Args:
        clock: monotonic seconds.
        peak: the peak of a process's resident memory in bytes, by its id; None where it is not known.
    """

    study: StudyFolder
    request: RunRequest
    head: Head
    clock: Callable[[], float]
    peak: Callable[[int], int | None]
    loads: LoadWatch = field(default_factory=LoadWatch)
    moments: Moments = field(default_factory=Moments)
    reached: bool = False
    """Whether what was to be watched is over, by --steps or --seconds."""
    _began_s: float = 0.0
    _first_s: float | None = None
    _peaks: dict[int, int] = field(default_factory=dict)
    _gist: tuple[str, str | None] | None = None
    _kept: list[Recorded] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began_s = self.clock()

    def look(self) -> Said | None:
        """Look at what has been written since; return a Document where something is to be said."""
        folders = process_folders(self.study)
        counts = [steps_so_far(folder) for folder in folders]
        steps, now = max(counts, default=0), self.clock()
        pids = [int(p) for f in folders if (p := f.name.partition("-")[0]).isdecimal()]
        for pid in pids:
            peak = self.peak(pid)
            if peak is not None:
                self._peaks[pid] = peak
        self.loads.look(perf_counter_ns(), pids)
        if self._first_s is None and steps > 0:
            self._first_s = now
        if self.reached:
            return None
        if self._is_over(steps, now):
            return self._at_the_limit()
        trained_s = 0.0 if self._first_s is None else now - self._first_s
        if steps == 0 or not self.moments.due(steps, trained_s):
            return None
        return self._verdict(steps, trained_s)

    def end(
        self, *, complete: bool, failed: bool = False, warnings: Sequence[Note] = ()
    ) -> Document:
        """Return the Document of all that was seen, or of what was up to the limit, and store it.

        Args:
            complete: whether the command came to its end by itself.
            failed: whether it failed: it may have, before it imported torch.

        Raises:
            PerfkitError: it cannot be stored.
        """
        recorded = self._kept if self.reached else self._read()
        document = self._document(recorded, complete or self.reached, warnings, failed=failed)
        documents.write(document, self.study.document)
        return document

    def _is_over(self, steps: int, now: float) -> bool:
        request = self.request
        if request.stop or self._first_s is None:
            # a script that ends itself has its answer at its end
            return False
        if request.steps is not None and steps >= request.steps:
            return True
        return request.seconds is not None and now - self._first_s >= request.seconds

    def _at_the_limit(self) -> Said:
        self._kept, self.reached = self._read(), True
        return Said(self._stored(self._document(self._kept, True)), "limit")

    def _verdict(self, steps: int, trained_s: float) -> Said | None:
        runs = answer.runs_of(self._read(), self._peaks, self.loads.loads)
        told = ranks.slowest(runs)
        can_say = told is not None and live.can_say(told, trained_s)
        self.moments.looked(steps, trained_s, said=can_say)
        if not can_say:
            return None
        document = answer.document_of(
            runs, self.head, elapsed_s=self.clock() - self._began_s, complete=False
        )
        self._stored(document)
        before, self._gist = self._gist, live.gist(document)
        if before == self._gist:
            return None
        return Said(document, "first" if before is None else "changed")

    def _read(self) -> list[Recorded]:
        found = (read_process(folder) for folder in process_folders(self.study))
        return [one for one in found if one is not None]

    def _document(
        self,
        recorded: Sequence[Recorded],
        complete: bool,
        warnings: Sequence[Note] = (),
        *,
        failed: bool = False,
    ) -> Document:
        runs = answer.runs_of(recorded, self._peaks, self.loads.loads)
        elapsed_s = self.clock() - self._began_s
        return answer.document_of(
            runs,
            self.head,
            elapsed_s=elapsed_s,
            complete=complete,
            warnings=warnings,
            reached=failed or self.study.reached.exists(),
        )

    def _stored(self, document: Document) -> Document:
        """Store a Document while the script goes on: where that fails it is tried again at the end."""
        with contextlib.suppress(PerfkitError):
            documents.write(document, self.study.document)
        return document
