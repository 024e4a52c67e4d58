"""Scripts that are run bare and attached, and what the attached ones left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forked_scripts import Run

from perfkit.engine.attach import environment
from perfkit.records import STEPS, StepRecord

SCRIPTS = Path(__file__).parent / "scripts"


@dataclass
class Process:
    """What one training process left in its run folder."""

    path: Path
    attached: dict[str, Any]
    records: list[StepRecord]
    events: list[dict[str, Any]]

    @property
    def steps(self) -> list[StepRecord]:
        return [record for record in self.records if record.backwards > 0 or record.updates > 0]

    @property
    def updates(self) -> int:
        return sum(record.updates for record in self.records)

    @property
    def backwards(self) -> int:
        return sum(record.backwards for record in self.records)

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads((self.path / "status.json").read_text())
        return status

    def of(self, event: str) -> list[dict[str, Any]]:
        return [found for found in self.events if found["event"] == event]

    def facts(self) -> dict[str, Any]:
        return {fact["code"]: fact["value"] for fact in self.of("fact")}


@dataclass
class Runs:
    """A command run bare and attached."""

    bare: subprocess.CompletedProcess[str]
    attached: subprocess.CompletedProcess[str]
    processes: list[Process] = field(default_factory=list)

    @property
    def one(self) -> Process:
        (process,) = self.processes
        return process


def run(command: list[str], env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in an environment, and wait for its end."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def base() -> dict[str, str]:
    """Return the environment of a user: PYTHONPATH of the tests would let children find more."""
    found = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return found | {"OMP_NUM_THREADS": "1"}


def both(
    study: Path,
    *arguments: str,
    python: tuple[str, ...] = (sys.executable,),
    bare: Run = run,
) -> Runs:
    """Run a command bare, as is said, and attached by itself, and read what the attached one left."""
    without = base()
    command = [*python, *arguments]
    alone = bare(command, without, SCRIPTS)
    attached = run(command, environment(study, without), SCRIPTS)
    assert attached.returncode == alone.returncode, attached.stderr
    assert attached.stdout == alone.stdout
    return Runs(alone, attached, processes(study))


def processes(study: Path) -> list[Process]:
    """Read the folders of the processes that trained."""
    found = []
    for about in sorted(study.glob("processes/*/attached.json")):
        rank = about.parent / "ranks" / "0"
        events = [json.loads(line) for line in (rank / "events.jsonl").read_text().splitlines()]
        records = list(STEPS.read(rank / "steps.bin"))
        found.append(Process(about.parent, json.loads(about.read_text()), records, events))
    return found


def counted(
    study: Path, bare: Run, script: str, steps: int, backwards: int, updates: int
) -> Process:
    """Bare and attached end with the same weights, and every backward and update is in a step."""
    runs = both(study, script, bare=bare)
    assert "weights" in runs.bare.stdout
    assert runs.attached.stderr == runs.bare.stderr
    one = runs.one
    assert (len(one.steps), one.backwards, one.updates) == (steps, backwards, updates)
    assert one.status == {"status": "ended", "exception": None}
    return one
