"""What every command that measures begins with: the machine, the data, the folder, and going on with one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from perfkit.codec import from_json, to_json
from perfkit.engine.child import Child
from perfkit.engine.events import Event
from perfkit.engine.questions import prepare, survey
from perfkit.errors import DamagedFile, UsageError
from perfkit.runfolder import StudyFolder, read_json, write_json
from perfkit.settings import Setting
from perfkit.study.frame import Frame
from perfkit.study.layout import Layout
from perfkit.study.request import StudyRequest
from perfkit.study.search import search
from perfkit.study.session import Answer, Plan
from perfkit.study.sizes import Machine, chosen

RESERVE_S = 4.0
"""Part of the budget that is kept for ending processes and writing the answer."""
LEAST_TIMEOUT_S = 300.0
"""A process is given at least this long, unless `--timeout` says otherwise."""
ENVIRONMENT_KEYS = (
    "perfkit", "python", "torch", "torch_cuda", "device_name", "device_uuid", "cpu_model", "cores_usable",
)  # fmt: skip
"""What must be the same for a study to go on."""
FIRST_KIND = "bench"
"""What a stored study is that does not say: the first command's, which did not yet."""
P = TypeVar("P")
Declared = Mapping[str, Sequence[Setting]]
"""The settings of each workload's own."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A study that can run."""

    kind: str
    """The command that runs it, and goes on with it."""
    folder: StudyFolder
    plan: Plan
    answer: Answer
    frame: Frame
    search_s: float = 0.0
    """What was spent on finding the largest batch, which is no part of the budget."""
    resumed: bool = False
    """Whether an earlier command began it."""

    @property
    def go_on(self) -> str:
        """The command that goes on with it."""
        return resume_command(self.kind, self.folder.path)


def look(
    device: str | None, archs: Sequence[str], child: Child
) -> tuple[Machine, dict[str, Any], Declared]:
    """Return the machine that a study runs on, its environment, and what its workloads declare.

    Args:
        device: as the user wrote it, or None for the best there is.
        archs: the workloads that there may be rows of.
        child: who is asked.

    Raises:
        UsageError: there is no such device or workload.
    """
    surveyed = survey(device, archs, child)
    environment = surveyed["environment"]
    return Machine.of(surveyed["device"], environment), environment, surveyed["settings"]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a study stands on before anything is timed."""

    folder: StudyFolder
    layout: Layout
    """For the data that there is, and the batch that was found."""
    sizes: str
    """What was chosen for this machine, in words."""
    search_s: float = 0.0
    """What the search for the largest batch took."""
    memory_filled: bool = False
    """Whether a larger batch than that did not fit."""


def make_ground(
    kind: str,
    layout: Layout,
    request: StudyRequest,
    machine: Machine,
    emit: Callable[[Event], None],
    child: Child,
) -> Ground:
    """Make the data where it is not there yet, and the study folder; find the largest batch if asked to.

    Args:
        child: who makes the data; it is ended then, and takes nothing from what is tried and timed.

    Raises:
        UsageError: the data cannot be had, a batch is more than an epoch of it, or no batch fits.
        PerfkitError: the data cannot be made.
    """
    asked, timeout_s = request.settings, request.timeout_s or LEAST_TIMEOUT_S
    data = [prepare(base, emit, timeout_s=timeout_s, child=child) for base in layout.bases]
    child.end()
    layout = layout.of_lengths([one.num_samples for one in data], asked.num_samples)
    folder = StudyFolder.create(kind)
    sizes = chosen(machine, layout.bases[0])
    if data[0].path:
        sizes += f"; data in {at_home(data[0].path)}"
    if not asked.largest_batch:
        return Ground(folder=folder, layout=layout, sizes=sizes)
    found = search(folder, layout.bases[0], emit, timeout_s=timeout_s)
    return Ground(
        folder=folder,
        layout=layout.with_batch(found.batch_size),
        sizes=f"{sizes}; {found.sentence()}",
        search_s=found.took_s,
        memory_filled=found.too_large is not None,
    )


def store(kind: str, folder: StudyFolder, plan: Any, frame: Frame) -> None:
    """Write down what is needed to go on with a study.

    Args:
        kind: the command that can go on with it.
        plan: a dataclass.
    """
    stored = {"kind": kind, "plan": to_json(plan), "frame": to_json(frame)}
    write_json(folder.path / "study.json", stored)


def reopen(
    kind: str, request: StudyRequest, name: str, plan_type: type[P]
) -> tuple[StudyFolder, P, Frame]:
    """Open a study that was interrupted, of this version or of an earlier one.

    Args:
        kind: the command that wants to go on with it.
        request: what was asked of that; a time budget takes the place of the stored one.
        name: its folder, a file in it, or `latest`.
        plan_type: what its plan is.

    Raises:
        UsageError: there is none, it is another command's, it cannot be read, the machine or the software is
            not the one it was begun on, or something was asked for that it has settled.
    """
    request.refuse_beside_resume()
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
    if request.budget_s is not None:
        frame = replace(frame, budget_s=request.budget_s)
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
