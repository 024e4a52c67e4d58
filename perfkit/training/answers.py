"""`python -m perfkit.training.answers`: answers one question after another; it imports torch once.

Reads a question a line on stdin, until that is closed, and writes JSON lines on stdout. The questions are

- `{"survey": {"device", "archs"}}`: which device there is, and which settings workloads have
  (`perfkit.training.survey`);
- `{"prepare": RunConfig}`: make the data of a workload (`perfkit.training.prepare`).

An answer is any number of events that those modules name, then `{"event": "done", …}` or `{"event":
"failed", "message", "hint", "exit_code"}`. Files of several workloads in one process can get into each
other's way (modules of one name, a patched torch, a seed): whoever asks decides which may meet.
"""

from __future__ import annotations

import json
import os
from typing import Any

from perfkit.codec import from_json
from perfkit.config import RunConfig
from perfkit.errors import PerfkitError, UsageError
from perfkit.wire import Send, die_with_parent


def main() -> None:
    """Entry point; see the module's text."""
    die_with_parent()
    # a workload's code that reads finds nothing, and what it prints goes to stderr: it can neither take a
    # question nor run into an answer
    questions = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)

    def send(event: str, **values: Any) -> None:
        answers.write(json.dumps({"event": event, **values}) + "\n")
        answers.flush()

    for question in questions:
        try:
            send("done", **_answer(question, send))
        except PerfkitError as error:
            send("failed", message=error.message, hint=error.hint, exit_code=error.exit_code)


def _answer(line: str, send: Send) -> dict[str, Any]:
    try:
        question = json.loads(line)
    except ValueError as error:
        raise UsageError(f"what was asked is not JSON: {error}") from error
    # torch comes with them: by now this process dies with its parent
    from perfkit.training.prepare import prepare
    from perfkit.training.survey import survey

    match question:
        case {"survey": {"device": device, "archs": archs}}:
            return survey(device, archs, send)
        case {"prepare": config}:
            return prepare(from_json(RunConfig, config), send)
    raise UsageError("what was asked is neither survey nor prepare")


if __name__ == "__main__":
    main()
