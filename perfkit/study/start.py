"""What every command that measures begins with: the machine, the data, the folder, and going on with one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from perfkit.codec import from_json, to_json
from perfkit.config import RunConfig
from perfkit.engine.events import Event
from perfkit.engine.helpers import Data, prepare, survey
from perfkit.errors import DamagedFile, UsageError
from perfkit.runfolder import StudyFolder, read_json, write_json
from perfkit.study.frame import Frame
from perfkit.study.session import Answer, Plan
from perfkit.study.sizes import Machine

RESERVE_S = 4.0
"""Part of the budget that is kept for ending processes and writing the answer."""
ENVIRONMENT_KEYS = (
    "perfkit", "python", "torch", "torch_cuda", "device_name", "device_uuid", "cpu_model", "cores_usable",
)  # fmt: skip
"""What must be the same for a study to go on."""
FIRST_KIND = "bench"
"""What a stored study is that does not say: the first command's, which did not yet."""
P = TypeVar("P")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A study that can run."""

    kind: str
    """The command that runs it, and goes on with it."""
    folder: StudyFolder
    plan: Plan
    answer: Answer
    frame: Frame

    @property
    def go_on(self) -> str:
        """The command that goes on with it."""
        return resume_command(self.kind, self.folder.path)


def look(device: str | None) -> tuple[Machine, dict[str, Any]]:
    """Return the machine that a study runs on, and its environment.

    Args:
        device: as the user wrote it, or None for the best there is.

    Raises:
        UsageError: there is no such device.
    """
    surveyed = survey(device)
    environment = surveyed["environment"]
    return Machine.of(surveyed["device"], environment), environment


def make_data(
    bases: Sequence[RunConfig], emit: Callable[[Event], None], *, timeout_s: float
) -> list[Data]:
    """Make the data of each workload where it is not there yet; see `perfkit.engine.helpers.prepare`."""
    return [prepare(base, emit, timeout_s=timeout_s) for base in bases]


def store(kind: str, folder: StudyFolder, plan: Any, frame: Frame) -> None:
    """Write down what is needed to go on with a study.

    Args:
        kind: the command that can go on with it.
        plan: a dataclass.
    """
    stored = {"kind": kind, "plan": to_json(plan), "frame": to_json(frame)}
    write_json(folder.path / "study.json", stored)


def reopen(
    kind: str, name: str, plan_type: type[P], budget_s: float | None
) -> tuple[StudyFolder, P, Frame]:
    """Open a study that was interrupted, of this version or of an earlier one.

    Args:
        kind: the command that wants to go on with it.
        name: its folder, a file in it, or `latest`.
        plan_type: what its plan is.
        budget_s: a time budget that takes the place of the stored one; None keeps it.

    Raises:
        UsageError: there is none, it is another command's, it cannot be read, or the machine or the
            software is not the one it was begun on.
    """
    folder = StudyFolder.find(name)
    path = folder.path / "study.json"
    if not path.exists():
        raise UsageError(f"{folder.path} holds no study that can be resumed")
    stored = read_json(path)
    found = kind_of(folder)
    if found != kind:
        raise UsageError(
            f"{folder.path} is a study of perfkit {found}, not of perfkit {kind}",
            hint=f"go on with: {resume_command(found, folder.path)}",
        )
    try:
        plan = from_json(plan_type, _part(stored, "plan"), path="plan")
        frame = from_json(Frame, _part(stored, "frame"), path="frame")
    except DamagedFile as error:
        raise DamagedFile(f"{path}: {error.message}") from error
    _refuse_another(folder, frame, survey(frame.base.device)["environment"], kind)
    if budget_s is not None:
        frame = replace(frame, budget_s=budget_s - RESERVE_S)
    return folder, plan, frame


def kind_of(folder: StudyFolder) -> str:
    """Return the command that a stored study is of."""
    try:
        stored = read_json(folder.path / "study.json")
    except DamagedFile:
        return FIRST_KIND
    kind = stored.get("kind", FIRST_KIND) if isinstance(stored, dict) else FIRST_KIND
    return kind if isinstance(kind, str) else FIRST_KIND


def resume_command(kind: str, path: Path) -> str:
    """Return the command line that goes on with a study."""
    return f"perfkit {kind} --resume {path}"


def at_home(path: str) -> str:
    """Return a path as users write it, with `~` for their own folder."""
    home = str(Path.home())
    return "~" + path[len(home) :] if path.startswith(home + os.sep) else path


def _part(stored: Any, name: str) -> Any:
    if not isinstance(stored, dict) or name not in stored:
        raise DamagedFile(f"{name} is missing")
    return stored[name]


def _refuse_another(folder: StudyFolder, frame: Frame, now: dict[str, Any], kind: str) -> None:
    changed = [key for key in ENVIRONMENT_KEYS if now.get(key) != frame.environment.get(key)]
    if changed:
        what = ", ".join(f"{k}: {frame.environment.get(k)} then, {now.get(k)} now" for k in changed)
        raise UsageError(
            f"{folder.path} was measured in another environment ({what})",
            hint=f"figures of two environments do not mix: start a new {kind}",
        )
