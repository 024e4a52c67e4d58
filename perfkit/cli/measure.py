"""Running a study that a command has laid out, and giving its answer."""

from __future__ import annotations

import sys
from time import monotonic

from perfkit import document as documents
from perfkit.cli.output import give
from perfkit.cli.progress import Progress
from perfkit.cli.signals import interruptible
from perfkit.document import Document
from perfkit.engine.executor import Executor
from perfkit.errors import (
    EXIT_FAILED,
    EXIT_INCONCLUSIVE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    PerfkitError,
)
from perfkit.study.observed import averages
from perfkit.study.session import Session
from perfkit.study.start import Prepared

LEAST_TIMEOUT_S = 300.0
"""A process is given at least this long, unless `--timeout` says otherwise."""


def measure(
    prepared: Prepared, began: float, timeout: float | None, json: str | None, *, resumed: bool
) -> int:
    """Run a study to its end, print and store the answer, return the exit code."""
    folder, plan, frame = prepared.folder, prepared.plan, prepared.frame
    budget_s = None if plan.total is not None else frame.budget_s
    limit_s = timeout if timeout is not None else max(LEAST_TIMEOUT_S, frame.budget_s)
    with (
        interruptible(),
        Progress(budget_s, plan.total) as progress,
        Executor(folder, timeout_s=limit_s, emit=progress) as executor,
    ):
        if resumed:
            executor.drop_unfinished()
        else:
            progress.say(frame.sizes)

        def save(document: Document) -> None:
            try:
                documents.write(document, folder.document)
            except PerfkitError as error:
                hint = f"free some space, then go on with: {prepared.go_on}"
                raise PerfkitError(error.message, hint=hint) from error

        session = Session(
            plan=plan,
            answer=prepared.answer,
            executor=executor,
            budget_s=frame.budget_s,
            clock=monotonic,
            began_s=began,
            save=save,
            averages=lambda results: averages(results, executor.averages),
            results=executor.finished(),
        )
        document = session.run()
    sys.stderr.write(f"stored in {folder.path}\n")
    give(document, json)
    if session.interrupted:
        sys.stderr.write(f"interrupted; go on with: {prepared.go_on}\n")
        return EXIT_INTERRUPTED
    return _exit_code(document)


def _exit_code(document: Document) -> int:
    good = ("ok", "unsupported")
    if not all(row.status in good for row in document.rows):
        return EXIT_FAILED
    open_question = document.diagnosis is not None and document.diagnosis.primary == "inconclusive"
    return EXIT_INCONCLUSIVE if open_question else EXIT_OK
