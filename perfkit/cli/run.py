"""`perfkit run -- COMMAND`: what holds somebody's own training back, unmodified."""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from perfkit.cli.options import command_line
from perfkit.errors import PerfkitError, UsageError

if TYPE_CHECKING:
    from perfkit.document import Document
    from perfkit.runfolder import StudyFolder
    from perfkit.study.attached.request import RunRequest
    from perfkit.study.attached.watch import Watch

PREFIX = "perfkit:"
POLL_S = 0.5
"""Seconds between two looks at the run folders: as often as they are written to."""
CONTEXT = {"allow_interspersed_args": False}
"""What follows the command's name is the command's."""


def run(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND...", help="What to run, e.g. python train.py.", show_default=False
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Give the answer after so many steps.")] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Give the answer after so many seconds of training.")
    ] = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="End the script then, with exit code 0.")
    ] = False,
    json: Annotated[
        str | None, typer.Option(metavar="PATH", help="Write the Document to a file.")
    ] = None,
) -> int:
    """Say what holds your own training back: any command that trains with PyTorch, unmodified.

    The script runs as it does without perfkit, which speaks on stderr alone, in lines that begin with
    `perfkit:`. The exit code is the script's own.
    """
    from perfkit.study.attached.request import RunRequest

    request = RunRequest(command=tuple(command or ()), steps=steps, seconds=seconds, stop=stop)
    return attach(request, json)


def attach(request: RunRequest, json: str | None) -> int:
    """Run a command with the recorder in it, say what its training is held back by, return its exit code.

    Raises:
        UsageError: the Document cannot be written where `json` says, or there is no place for the study.
        CannotStart: the command cannot be started.
    """
    from perfkit.cli.output import check_json_target
    from perfkit.engine.attach import environment
    from perfkit.engine.attached_process import AttachedProcess, peak_rss_bytes
    from perfkit.runfolder import place_of_study
    from perfkit.study.attached.answer import KIND, Head
    from perfkit.study.attached.watch import Watch

    if json == "-":
        raise UsageError(
            "-: stdout is the script's own",
            field="--json",
            hint="name a file: --json result.json",
        )
    check_json_target(json)
    folder, refused = place_of_study(KIND)
    # of this moment: the script may go elsewhere
    target = None if json is None else os.path.abspath(json)
    environ = environment(folder.path, {**os.environ, **request.variables})
    with _removed_if_not_started(folder), AttachedProcess(request.command, environ) as child:
        if refused is not None:
            say(f"{refused}; the study lies in {folder.path}")
        say(f"watching {shlex.join(request.command)}, recording to {folder.path}")
        head = Head.now(command_line(), str(folder.path))
        watch = Watch(folder, request, head, clock=monotonic, peak=peak_rss_bytes)
        while (code := child.wait(POLL_S)) is None:
            _guarded(watch, _look)
        _guarded(watch, lambda watch: _end(watch, folder, code, target))
    return code


@contextlib.contextmanager
def _removed_if_not_started(study: StudyFolder) -> Iterator[None]:
    """Take a study away of which nothing ran: `latest` is the one before it."""
    from perfkit.engine.attached_process import CannotStart

    try:
        yield
    except CannotStart:
        shutil.rmtree(study.path, ignore_errors=True)
        raise


def say(text: str) -> None:
    """Write whole lines to stderr, each of which says whose it is; a stream that is gone is no error."""
    from perfkit.report.terminal import write

    lines = "".join(f"{PREFIX} {line}".rstrip() + "\n" for line in text.splitlines())
    with contextlib.suppress(OSError, ValueError):
        write(lines, sys.stderr)


@functools.cache
def _say_once(text: str) -> None:
    """Say what would be said again at every look."""
    say(text)


def _guarded(watch: Watch, do: Callable[[Watch], None]) -> None:
    """Have nothing of ours change what becomes of the script: what goes wrong is told."""
    try:
        do(watch)
    except PerfkitError as error:
        _say_once(error.message if error.hint is None else f"{error.message}; {error.hint}")
    except Exception as error:
        _say_once(
            f"{type(error).__name__}: {error}: this is a bug of perfkit; the script is not touched by it"
        )


def _look(watch: Watch) -> None:
    from perfkit.report.diagnose import spoken

    said = watch.look()
    if said is None:
        return
    if said.moment == "limit":
        say(_report(said.document))
        return
    lines = spoken.lines(said.document)
    if said.moment == "changed":
        lines = ["the verdict has changed:", *lines]
    say("\n".join(lines))


def _end(watch: Watch, folder: StudyFolder, code: int, target: str | None) -> None:
    from pathlib import Path

    from perfkit import documentfile as documents

    already_said = watch.reached
    document = watch.end(complete=code < 128, failed=code != 0)
    if target is not None:
        documents.write(document, Path(target))
    if not document.rows:
        say("\n".join(note.text for note in document.warnings))
    elif not already_said:
        say(_report(document))
    say(f"stored in {folder.path}")


def _report(document: Document) -> str:
    from perfkit.report import console, terminal

    width = terminal.width_of(sys.stderr, os.environ) - len(PREFIX) - 1
    return console.render(document, width=width, color=False)
