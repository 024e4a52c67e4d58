"""Run folders of scripts that were watched, written from what a loop did, on a clock of exact numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfkit.diagnosis.judge import judge
from perfkit.document import Diagnosis, Document
from perfkit.records import (
    CHECKPOINT,
    FETCHES,
    NAN,
    SPANS,
    STEPS,
    FetchRecord,
    SpanRecord,
    StepRecord,
)
from perfkit.study.attached.answer import Head, document_of, runs_of
from perfkit.study.attached.loop import Loop, loop_of
from perfkit.study.attached.passes import passes_of
from perfkit.study.attached.read import Recorded, read_process
from perfkit.study.attached.result import AttachedRun, attached_run

ENVIRONMENT = {
    "perfkit": "0.0", "torch": "2.9.0", "cores_usable": 4, "device": "cpu", "device_type": "cpu",
    "num_threads": 2, "os": "Linux",
}  # fmt: skip


HEAD = Head(command="perfkit run -- python train.py", study=".perfkit/1-run", created="2026-01-01")


@dataclass
class Script:
    """What a script does, step by step; `write` makes the folder that its recorder would."""

    pid: int = 100
    now_ns: int = 1_000_000_000
    rank: int | None = None
    world_size: int | None = None
    steps: list[StepRecord] = field(default_factory=list)
    spans: list[SpanRecord] = field(default_factory=list)
    fetches: list[FetchRecord] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    exception: str | None = None
    _passes: int = 0

    def event(self, event: str, **values: Any) -> None:
        """Something is told now."""
        self.events.append({"event": event, "t_ns": self.now_ns, **values})

    def loader(self, number: int = 0, **facts: Any) -> None:
        """A loader is seen for the first time."""
        defaults = {
            "where": f"train.py:{31 + number}", "num_workers": 0, "batch_size": 8, "prefetch_factor": None,
            "persistent_workers": False, "pin_memory": False, "drop_last": False, "start_method": None,
            "dataset": "Images", "samples": 160, "batches": 20, "iterable": False, "sharded": None,
        }  # fmt: skip
        self.event("loader", loader=number, **{**defaults, **facts})

    def begin(
        self, loader: int = 0, iter_s: float = 0.0, made: int = 1, workers: Sequence[int] = ()
    ) -> int:
        """An iterator is asked for; returns the number of the pass.

        Args:
            made: how many DataLoaders have been made there by then.
            workers: process ids.
        """
        number, self._passes = self._passes, self._passes + 1
        self.rest(iter_s)
        told = {"pass": number, "object": made, "workers": list(workers)}
        self.event("pass", **told, loader=loader, iter_s=iter_s, pid=self.pid)
        return number

    def end(
        self,
        number: int,
        *,
        companion: int | None = None,
        joined_s: float = 0.0,
        exhausted: bool = True,
    ) -> None:
        """A pass has come to its end."""
        told = {"fetched": 0, "exhausted": exhausted, "backwards": 0, "updates": 0}
        self.event("pass_end", **{"pass": number}, **told, companion=companion, joined_s=joined_s)

    def step(
        self,
        number: int,
        *,
        wait_s: float = 0.001,
        forward_s: float = 0.003,
        backward_s: float = 0.005,
        optimizer_s: float = 0.001,
        other_s: float = 0.0,
        trains: bool = True,
        updates: int = 1,
        ready: int = -1,
        samples: int = 8,
        run_delay_s: float = 0.0,
        made_s: tuple[float, float] | None = None,
    ) -> None:
        """A batch is fetched and used; without `trains` it is evaluated."""
        if made_s is not None:
            # the process makes it itself, inside of its wait
            end_ns = self.now_ns + int(wait_s * 1e9)
            batch = len(self.fetches)
            self.fetches.append(
                FetchRecord(0, batch, samples, end_ns, 0.0, *made_s, 0.0, 0.0, 0.0, NAN)
            )
        phases = (forward_s, backward_s, optimizer_s) if trains else (forward_s, NAN, NAN)
        step_s = wait_s + sum(p for p in phases if p == p) + other_s
        device = (NAN, wait_s, NAN, NAN, NAN, NAN, 0.0)
        counts = (1, updates) if trains else (0, 0)
        self.steps.append(
            StepRecord(
                len(self.steps), number, samples, -1, ready, *counts, self.now_ns,
                step_s, wait_s, NAN, *phases, *device, run_delay_s,
            )
        )  # fmt: skip
        self.rest(step_s)

    def save(self, span_s: float) -> None:
        """A checkpoint is written now."""
        self.spans.append(SpanRecord(CHECKPOINT, len(self.steps), self.now_ns, span_s, span_s))
        self.rest(span_s)

    def rest(self, seconds: float) -> None:
        """Something else is done that nobody sees."""
        self.now_ns += int(seconds * 1e9)

    def write(self, study: Path, *, ended: bool = True) -> Path:
        """Make its run folder in a study."""
        folder = study / "processes" / str(self.pid)
        rank = folder / "ranks" / "0"
        (rank / "loader").mkdir(parents=True)
        about = {
            "format": 1, "pid": self.pid, "ppid": 1, "argv": ["train.py"], "executable": "python",
            "cwd": "/home/someone", "started_ns": 0, "started_unix_s": float(self.pid), "rank": self.rank,
            "local_rank": self.rank, "world_size": self.world_size,
        }  # fmt: skip
        (folder / "attached.json").write_text(json.dumps(about))
        (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))
        status = {"status": "ended" if ended else "running", "exception": self.exception}
        (folder / "status.json").write_text(json.dumps(status))
        (rank / "steps.bin").write_bytes(STEPS.header + b"".join(map(STEPS.pack, self.steps)))
        if self.spans:
            (rank / "spans.bin").write_bytes(SPANS.header + b"".join(map(SPANS.pack, self.spans)))
        if self.fetches:
            packed = b"".join(map(FETCHES.pack, self.fetches))
            (rank / "loader" / f"0-{self.pid}.bin").write_bytes(FETCHES.header + packed)
        lines = "".join(json.dumps(event) + "\n" for event in self.events)
        (rank / "events.jsonl").write_text(lines)
        return folder

    def recorded(self, study: Path) -> Recorded:
        """Write it and read it back."""
        found = read_process(self.write(study))
        assert found is not None
        return found


def epochs(
    script: Script, count: int, steps: int = 30, *, iter_s: float = 0.0, **step: Any
) -> Script:
    """A plain loop: so many epochs of equal steps."""
    if not script.events:
        script.loader()
    for _ in range(count):
        number = script.begin(iter_s=iter_s)
        for _ in range(steps):
            script.step(number, **step)
        script.end(number)
    return script


def loop(script: Script, study: Path) -> Loop:
    """Return the loop that a script's folder shows."""
    recorded = script.recorded(study)
    found = loop_of(recorded, passes_of(recorded))
    assert found is not None
    return found


def primary(script: Script, study: Path) -> str:
    """Return the verdict on a script."""
    run = attached_run(script.recorded(study))
    assert run is not None
    return judge(run.evidence).primary


def run_of(script: Script, study: Path) -> AttachedRun:
    """Return what a script's folder shows, with its evidence."""
    found = attached_run(script.recorded(study))
    assert found is not None
    return found


def answer(study: Path, *scripts: Script, **how: Any) -> Document:
    """Return what is said of processes; that have ended, if nothing else is said."""
    runs = runs_of([script.recorded(study) for script in scripts])
    return document_of(runs, HEAD, elapsed_s=3.0, **{"complete": True, **how})


def diagnosed(script: Script, study: Path) -> Diagnosis:
    """Return what holds one back."""
    found = answer(study, script).diagnosis
    assert found is not None
    return found
