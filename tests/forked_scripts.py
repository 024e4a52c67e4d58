"""Scripts run in forks of a Python that has imported torch once, which is most of what a short one costs.

What a script prints, its weights and its exit code do not depend on that. Where the interpreter matters
(its flags, `-m`, tracebacks, signals, processes that are spawned) a test starts one of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Run = Callable[[list[str], Mapping[str, str], Path], subprocess.CompletedProcess[str]]
"""Runs a command, in an environment and a folder, to its end."""


@contextmanager
def forking(env: Mapping[str, str]) -> Iterator[Run]:
    """Start a Python in `env`, and give what runs `[sys.executable, script, *arguments]` in a fork of it."""
    with (
        subprocess.Popen(
            [sys.executable, __file__], env=env, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as server,
        tempfile.TemporaryDirectory() as folder,
    ):  # fmt: skip
        assert server.stdin is not None and server.stdout is not None
        asks, answers = server.stdin, server.stdout
        out, err = Path(folder, "out"), Path(folder, "err")

        def run(
            command: list[str], env: Mapping[str, str], cwd: Path
        ) -> subprocess.CompletedProcess[str]:
            asked = {"argv": command[1:], "env": dict(env), "cwd": str(cwd)}
            print(json.dumps({**asked, "files": [os.devnull, str(out), str(err)]}), file=asks)
            code = int(answers.readline())
            return subprocess.CompletedProcess(command, code, out.read_text(), err.read_text())

        yield run
        # it ends at the end of what it is asked
        asks.close()


def _run_script(argv: list[str], env: dict[str, str], cwd: str, files: list[str]) -> None:
    for number, name in enumerate(files):
        opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv, sys.path[0] = argv, cwd
    runpy.run_path(argv[0], run_name="__main__")


def _serve() -> None:
    # the first step of an optimizer imports it
    import torch._dynamo  # noqa: F401

    for line in iter(sys.stdin.readline, ""):
        asked: dict[str, Any] = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _run_script(**asked)
                code = 0
            except BaseException:
                traceback.print_exc()
            # as an interpreter ends, but for its objects one by one: for torch that takes two seconds
            atexit._run_exitfuncs()
            sys.stdout.flush()
            os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve()
