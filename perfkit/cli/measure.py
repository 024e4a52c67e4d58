"""Running a study that a command has laid out, and giving its answer."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from perfkit.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK

if TYPE_CHECKING:
    from perfkit.document import Document
    from perfkit.study.start import Prepared

LEAST_TIMEOUT_S = 300.0
"""A process is given at least this long, unless `--timeout` says otherwise."""


def measure(
    prepared: Prepared, began: float, timeout: float | None, json: str | None, *, resumed: bool
) -> int:
    """Run a study to its end, print and store the answer, return the exit code."""
    from perfkit import document as documents
    from perfkit.cli.output import give
    from perfkit.cli.progress import Progress
    from perfkit.cli.signals import interruptible
    from perfkit.engine.executor import Executor
    from perfkit.study.matrix import groups
    from perfkit.study.observed import averages
    from perfkit.study.session import Session

    folder, plan = prepared.folder, prepared.plan
    pinned = plan.generations
    budget_s = None if pinned is not None else prepared.frame.budget_s
    total = None if pinned is None else pinned * len(groups(plan.rows))
    limit_s = timeout if timeout is not None else max(LEAST_TIMEOUT_S, prepared.frame.budget_s)
    with (
        interruptible(),
        Progress(budget_s, total) as progress,
        Executor(folder, timeout_s=limit_s, emit=progress) as executor,
    ):
        if not resumed:
            progress.say(prepared.frame.sizes)
        if resumed:
            executor.drop_unfinished()
        session = Session(
            plan=plan,
            executor=executor,
            frame=prepared.frame,
            clock=time.monotonic,
            began_s=began,
            save=lambda document: documents.write(document, folder.document),
            averages=lambda results: averages(plan.rows, results, executor.averages),
            results=executor.finished(),
        )
        document = session.run()
    sys.stderr.write(f"stored in {folder.path}\n")
    give(document, json)
    if session.interrupted:
        sys.stderr.write(f"interrupted; go on with: perfkit bench --resume {folder.path}\n")
        return EXIT_INTERRUPTED
    return _exit_code(document)


def _exit_code(document: Document) -> int:
    good = ("ok", "unsupported")
    return EXIT_OK if all(row.status in good for row in document.rows) else EXIT_FAILED
