"""Where things lie on disk: the study folder of a command, the run folder of a training process.

The run folder is the one contract between the two sides of the process boundary. It is readable while
the run goes on and after any death: JSON files are replaced whole, logs are appended line by line and
a torn last line is dropped. There is no pickle.

    .perfkit/<UTC>-<command>/            a study
        document.json  study.json  baton.jsonl  telemetry/  generations/<n>.json
        processes/<generation>-<n>/      a run folder
            config.json  environment.json  status.json  log.txt
            ranks/<rank>/steps.bin  spans.bin  events.jsonl  trace.json.gz  loader/<worker>-<pid>.bin .jsonl
"""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from perfkit.codec import from_json, json_text, to_json
from perfkit.config import RunConfig
from perfkit.errors import DamagedFile, PerfkitError, UsageError
from perfkit.files import cache_dir, write_text
from perfkit.jsonlines import JsonLines

OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The device is full, the user's quota is, or the file has reached a limit."""
T = TypeVar("T")

ROOT = ".perfkit"


@dataclass(frozen=True)
class RankFolder:
    """What one rank of a training process writes."""

    path: Path

    @property
    def steps(self) -> Path:
        """Step records (`perfkit.records.STEPS`)."""
        return self.path / "steps.bin"

    @property
    def spans(self) -> Path:
        """Work between steps (`perfkit.records.SPANS`); missing where there was none."""
        return self.path / "spans.bin"

    @property
    def events(self) -> JsonLines:
        """What happened: one object with `event` and `t_ns` each."""
        return JsonLines(self.path / "events.jsonl")

    @property
    def trace(self) -> Path:
        """What a profiler saw of a few steps, in Chrome's format; missing where none was asked."""
        return self.path / "trace.json.gz"

    @property
    def loader(self) -> Path:
        """Folder of the loader workers' fetch records (`perfkit.records.FETCHES`)."""
        return self.path / "loader"


@dataclass(frozen=True)
class RunFolder:
    """The folder of one training process."""

    path: Path

    @classmethod
    def create(cls, path: Path, config: RunConfig) -> RunFolder:
        """Make the folder with its configuration.

        Raises:
            PerfkitError: it cannot be written.
        """
        folder = cls(path)
        try:
            folder.rank(0).loader.mkdir(parents=True)
        except OSError as error:
            raise cannot_write(path, error, verb="make") from error
        write_json(path / "config.json", to_json(config))
        return folder

    def rank(self, number: int) -> RankFolder:
        """Return the folder of one rank."""
        return RankFolder(self.path / "ranks" / str(number))

    @property
    def log(self) -> Path:
        """What the process printed, on either stream."""
        return self.path / "log.txt"

    def config(self) -> RunConfig:
        """Read the configuration back.

        Raises:
            DamagedFile: it is not there or not whole.
        """
        return read_as(RunConfig, self.path / "config.json")

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Replace `<name>.json` whole."""
        write_json(self.path / f"{name}.json", value)


@dataclass(frozen=True)
class StudyFolder:
    """The folder of one command."""

    path: Path

    @classmethod
    def create(cls, command: str, *, root: Path | None = None) -> StudyFolder:
        """Make `.perfkit/<UTC>-<command>/`; two commands in one second get folders of their own.

        Raises:
            UsageError: the place cannot be written to.
        """
        root = root or Path(ROOT)
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        try:
            root.mkdir(parents=True, exist_ok=True)
            ignore = root / ".gitignore"
            if not ignore.exists():
                write_text(ignore, "*\n")
            for attempt in range(1, 1000):
                path = root / (f"{stamp}-{command}" + (f"-{attempt}" if attempt > 1 else ""))
                try:
                    path.mkdir()
                except FileExistsError:
                    continue
                for name in ("processes", "generations", "telemetry"):
                    (path / name).mkdir()
                return cls(path)
        except (OSError, PerfkitError) as error:
            why = getattr(error, "strerror", None) or getattr(error.__cause__, "strerror", None)
            full = out_of_space(error)
            raise UsageError(
                f"cannot write to {root}: {why or error}",
                hint="free some space" if full else "run from a folder you may write to",
            ) from error
        raise UsageError(f"{root} has no room for another study of this second")

    @classmethod
    def find(cls, name: str, *, root: Path | None = None) -> StudyFolder:
        """Find a study by folder, by a file in it, or as `latest`.

        Raises:
            UsageError: there is none.
        """
        root = root or Path(ROOT)
        if name == "latest":
            studies = [p for p in root.glob("*Z-*") if p.is_dir()]
            if not studies:
                raise UsageError(
                    f"there is no study under {root}", hint="run `perfkit bench` first"
                )
            # the stamp sorts by second; studies of one second sort by when they were made
            return cls(max(studies, key=lambda p: (p.name[:16], p.stat().st_ctime_ns)))
        path = Path(name)
        path = path.parent if path.is_file() else path
        if not path.is_dir():
            raise UsageError(
                f"there is no study {name}", hint="name a folder under .perfkit, or latest"
            )
        return cls(path)

    @property
    def document(self) -> Path:
        """The answer, replaced whole after every generation."""
        return self.path / "document.json"

    @property
    def reached(self) -> Path:
        """There once a process of a watched script has imported torch; see `training/attach/bootstrap`."""
        return self.path / "reached"

    @property
    def baton(self) -> JsonLines:
        """Who ran when."""
        return JsonLines(self.path / "baton.jsonl")

    @property
    def telemetry(self) -> Path:
        """Folder of the sampler."""
        return self.path / "telemetry"

    def process(self, generation: int, number: int) -> Path:
        """Where the run folder of one process lies."""
        return self.path / "processes" / f"{generation}-{number}"

    def generation(self, number: int) -> Path:
        """The stored result of one finished generation."""
        return self.path / "generations" / f"{number}.json"


def place_of_study(command: str) -> tuple[StudyFolder, str | None]:
    """Make the folder of a study: below the working directory, else below the cache folder.

    Returns:
        The folder, and why it does not lie below the working directory; None where it does.

    Raises:
        UsageError: neither can be written to.
    """
    try:
        return StudyFolder.create(command), None
    except UsageError as error:
        refused = error
    return StudyFolder.create(command, root=cache_dir() / ROOT.lstrip(".")), refused.message


def out_of_space(error: BaseException) -> bool:
    """Whether a write that found no room is behind an error."""
    return any(isinstance(e, OSError) and e.errno in OUT_OF_SPACE for e in chain(error))


def chain(error: BaseException) -> list[BaseException]:
    """Return an error and all that it came from: causes, what was being handled, members of groups."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop(0)
        if current is None or any(current is one for one in found):
            continue
        found.append(current)
        waiting += [current.__cause__, current.__context__]
        waiting += getattr(current, "exceptions", ())
    return found


def cannot_write(path: Path, error: OSError, *, verb: str = "write") -> PerfkitError:
    """The error that a user sees where the system refused a write."""
    hint = "free some space" if error.errno in OUT_OF_SPACE else None
    return PerfkitError(f"cannot {verb} {path}: {error.strerror or error}", hint=hint)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file whole."""
    write_text(path, json_text(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DamagedFile: it is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFile(f"cannot read {path}: {error}") from error


def read_as(kind: type[T], path: Path) -> T:
    """Read a JSON file that holds a `kind`.

    Raises:
        DamagedFile: it is missing, not JSON or not a `kind`; the message names the file and the place.
    """
    data = read_json(path)
    try:
        return from_json(kind, data)
    except DamagedFile as error:
        raise DamagedFile(f"{path}: {error.message}") from error
