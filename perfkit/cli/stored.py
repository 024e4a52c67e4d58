"""Stored answers by what a user calls them: a study folder, a file, or `latest`."""

from __future__ import annotations

from pathlib import Path

from perfkit import documentfile as documents
from perfkit.document import Document
from perfkit.errors import DamagedFile, UsageError
from perfkit.report.stored import StoredAnswer
from perfkit.runfolder import StudyFolder


def find(name: str | Path) -> StoredAnswer:
    """Read the answer that a user names; of a training that is watched what it has shown so far.

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
        answer = StoredAnswer(
            name=path.absolute().parent.name if at_home else path.name,
            document=_read(path),
            study=study if at_home else None,
        )
    else:
        study = StudyFolder.find(str(name))
        document = _read(study.document) if study.document.is_file() else _recorded(study)
        answer = StoredAnswer(name=study.path.resolve().name, document=document, study=study)
    if not answer.document.rows:
        if any(note.code == "nothing_trained" for note in answer.document.warnings):
            raise _nothing_trained(str(name))
        raise UsageError(
            f"{name} has no rows to report: it is the answer of perfkit {answer.document.kind}",
            hint="name a run of perfkit bench or perfkit diagnose",
        )
    return answer


def _recorded(study: StudyFolder) -> Document:
    """The answer of a study that has none yet, from what its training processes recorded."""
    from perfkit.study.attached.stored import answer_of, is_attached
    from perfkit.study.start import kind_of, resume_command

    document = answer_of(study)
    if document is not None:
        return document
    if is_attached(study):
        raise _nothing_trained(str(study.path))
    raise UsageError(
        f"{study.path} holds no answer: its first generation was not finished",
        hint=f"{resume_command(kind_of(study), study.path)} goes on with it",
    )


def _nothing_trained(name: str) -> UsageError:
    from perfkit.study.attached.answer import NOTHING_TRAINED

    return UsageError(
        f"{name}: {NOTHING_TRAINED}", hint="perfkit run -- COMMAND watches a training"
    )


def _read(path: Path) -> Document:
    try:
        return documents.read(path)
    except DamagedFile as error:
        hint = "name a study folder, or a file that --json wrote"
        raise DamagedFile(error.message, hint=hint) from error
