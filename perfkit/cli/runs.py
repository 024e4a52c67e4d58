"""Stored answers by what a user calls them: a study folder, a file, or `latest`."""

from __future__ import annotations

from pathlib import Path

from perfkit import document as documents
from perfkit.document import Document
from perfkit.errors import DamagedFile, UsageError
from perfkit.report.runs import Run
from perfkit.runfolder import StudyFolder


def find(name: str) -> Run:
    """Read the run that a user names.

    Raises:
        UsageError: there is none, it holds no answer yet, or the answer has no rows.
        DamagedFile: it cannot be read back.
        LaterVersion: a later perfkit wrote it.
    """
    path = Path(name)
    if path.is_file():
        # a file that --json wrote may lie anywhere
        study = StudyFolder(path.parent)
        at_home = (
            path.resolve() == study.document.resolve() and (path.parent / "processes").is_dir()
        )
        run = Run(
            name=path.absolute().parent.name if at_home else path.name,
            document=_read(path),
            study=study if at_home else None,
        )
    else:
        study = StudyFolder.find(name)
        if not study.document.is_file():
            from perfkit.study.start import kind_of, resume_command

            raise UsageError(
                f"{study.path} holds no answer: its first generation was not finished",
                hint=f"{resume_command(kind_of(study), study.path)} goes on with it",
            )
        run = Run(name=study.path.resolve().name, document=_read(study.document), study=study)
    if not run.document.rows:
        raise UsageError(
            f"{name} has no rows to report: it is the answer of perfkit {run.document.kind}",
            hint="name a run of perfkit bench or perfkit diagnose",
        )
    return run


def _read(path: Path) -> Document:
    try:
        return documents.read(path)
    except DamagedFile as error:
        hint = "name a study folder, or a file that --json wrote"
        raise DamagedFile(error.message, hint=hint) from error
