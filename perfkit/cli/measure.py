"""Running a study that a command has laid out, and giving its answer."""

from __future__ import annotations

import sys
from time import monotonic

from perfkit import documentfile as documents
from perfkit.cli.output import write_answer
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
from perfkit.study.start import LEAST_TIMEOUT_S, RESERVE_S, Prepared


def measure(prepared: Prepared, timeout_s: float | None, began: float, json: str | None) -> int:
    """Run a study to its end, print and store the answer, return the exit code.

    Args:
        timeout_s: how long one process may run; None goes by the budget.
        began: when the command began, on the monotonic clock.
        json: where the Document is written besides; `-` is stdout.
    """
    folder, plan, frame = prepared.folder, prepared.plan, prepared.frame
    # the search for the largest batch is not paid from the budget
    began += prepared.search_s
    budget_s = frame.budget_s - RESERVE_S
    limit_s = timeout_s if timeout_s is not None else max(LEAST_TIMEOUT_S, frame.budget_s)
    with (
        interruptible(),
        Progress(None if plan.total is not None else budget_s, plan.total) as progress,
        Executor(folder, timeout_s=limit_s, emit=progress) as executor,
    ):
        if prepared.resumed:
            executor.drop_unfinished()
        else:
            progress.say(frame.sizes)
        results = executor.finished()
        costs_s = [result.cost_s for result in results]
        progress.count(monotonic() - began + sum(costs_s), costs_s)

        def save(document: Document) -> None:
            try:
                documents.write(document, folder.document)
            except PerfkitError as error:
                hint = f"free some space, then go on with: {prepared.go_on}"
                raise PerfkitError(error.message, hint=hint) from error

        session = Session(
            plan=plan,
            answer=prepared.answer,
            engine=executor,
            budget_s=budget_s,
            clock=monotonic,
            began_s=began,
            save=save,
            averages=lambda results: averages(results, executor.averages),
            results=results,
        )
        document = session.run()
    sys.stderr.write(f"stored in {folder.path}\n")
    write_answer(document, json)
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
