"""Reading the folder of a training process that is not ours, while it runs and after any death."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from perfkit.engine.production import read_stacks
from perfkit.errors import DamagedFile, LaterVersion
from perfkit.records import FETCHES, SPANS, STEPS, FetchRecord, SpanRecord, StepRecord
from perfkit.runfolder import RunFolder, StudyFolder, read_json
from perfkit.study.attached.collectives import with_collectives

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class WorkerFile:
    """The batches that one loader worker made; of the process itself where it has none."""

    pid: int
    fetches: tuple[FetchRecord, ...]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a training process has written so far. A null value was not known to it."""

    folder: str
    """Relative to the study folder."""
    pid: int
    argv: tuple[str, ...] = ()
    cwd: str = ""
    started_ns: int = 0
    """`perf_counter_ns` when the recorder was installed."""
    started_unix_s: float = 0.0
    rank: int | None = None
    world_size: int | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    ended: bool = False
    """Whether it came to its end by itself; False while it runs, and where it was killed."""
    exception: str | None = None
    """What it ended with, e.g. `ValueError: …`."""
    events: tuple[dict[str, Any], ...] = ()
    steps: tuple[StepRecord, ...] = ()
    spans: tuple[SpanRecord, ...] = ()
    workers: tuple[WorkerFile, ...] = ()

    def told(self, event: str) -> list[dict[str, Any]]:
        """Return the events of one kind, in order."""
        return [one for one in self.events if one.get("event") == event]


def process_folders(study: StudyFolder) -> list[Path]:
    """Return the folders of the processes that have trained so far."""
    places = (path for path in (study.path / "processes").glob("*") if path.is_dir())
    return sorted(path for path in places if (path / "attached.json").is_file())


def steps_so_far(folder: Path) -> int:
    """Return how many steps a process has written, at the price of a look at a file's size."""
    try:
        return STEPS.count(RunFolder(folder).rank(0).steps)
    except (DamagedFile, LaterVersion, OSError):
        return 0


def read_process(folder: Path) -> Recorded | None:
    """Read what a process has written; None where it has written nothing that can be read.

    What is torn or damaged is left out: records that follow it, and lines after it.
    """
    head = _object(folder / "attached.json")
    if not isinstance(head.get("pid"), int):
        return None
    rank, status = RunFolder(folder).rank(0), _object(folder / "status.json")
    spans = tuple(_until_damaged(lambda: SPANS.read(rank.spans)))
    return Recorded(
        folder=f"processes/{folder.name}",
        pid=head["pid"],
        argv=tuple(map(str, head.get("argv") or ())),
        cwd=str(head.get("cwd") or ""),
        started_ns=_whole(head.get("started_ns")) or 0,
        started_unix_s=float(head.get("started_unix_s") or 0.0),
        rank=_whole(head.get("rank")),
        world_size=_whole(head.get("world_size")),
        environment=_object(folder / "environment.json"),
        ended=status.get("status") == "ended",
        exception=status.get("exception") or None,
        events=(*_until_damaged(rank.events.read), *read_stacks(rank.loader)),
        steps=with_collectives(tuple(_until_damaged(lambda: STEPS.read(rank.steps))), spans),
        spans=spans,
        workers=tuple(_workers(rank.loader)),
    )


def _workers(folder: Path) -> Iterator[WorkerFile]:
    for path in sorted(folder.glob("*.bin")):
        _, _, pid = path.stem.rpartition("-")
        fetches = tuple(_until_damaged(lambda path=path: FETCHES.read(path)))  # type: ignore[misc]
        if fetches and pid.isdecimal():
            yield WorkerFile(pid=int(pid), fetches=fetches)


def _until_damaged(read: Callable[[], Iterable[T]]) -> Iterator[T]:
    """What a file holds up to the first place that cannot be read."""
    try:
        yield from read()
    except (DamagedFile, LaterVersion, OSError):
        return


def _object(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except DamagedFile:
        return {}
    return found if isinstance(found, dict) else {}


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
