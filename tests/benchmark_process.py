"""Running a benchmark's small form: as a user does, in a process of its own, or in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[1] / "benchmarks"
KEYS = {
    "benchmark", "command", "created", "small", "elapsed_s", "environment", "warnings", "targets",
    "rows", "details", "remarks",
}  # fmt: skip


def small(folder: Path, name: str, *arguments: str) -> dict[str, Any]:
    """Run the small form, results in `folder/out`; returns its JSON, whose shape and Markdown are checked."""
    command = [sys.executable, str(SCRIPTS / f"{name}.py"), "--small", *arguments, "--out", "out"]
    done = subprocess.run(
        command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    return _checked(folder, name, done.stdout)


def small_here(
    patch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    script: ModuleType,
    *arguments: str,
) -> tuple[dict[str, Any], str]:
    """Run it in this process instead; returns what it told on stderr beside its JSON."""
    patch.chdir(folder)
    script.main(["--small", *arguments, "--out", "out"])
    said = capsys.readouterr()
    return _checked(folder, script.__name__, said.out), said.err


def _checked(folder: Path, name: str, out: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((folder / "out" / f"{name}.json").read_text())
    assert set(answer) == KEYS
    assert answer["benchmark"] == name and answer["small"] is True
    assert answer["command"].startswith(f"python benchmarks/{name}.py --small")
    assert answer["environment"]["cores_usable"] >= 1
    assert answer["elapsed_s"] > 0
    assert all(target["met"] is None for target in answer["targets"]), "small forms judge nothing"
    markdown = (folder / "out" / f"{name}.md").read_text()
    assert markdown.startswith("# ")
    assert f"```sh\n{answer['command']}\n```" in markdown
    assert answer["created"] in markdown
    assert out.startswith("| ")
    return answer
