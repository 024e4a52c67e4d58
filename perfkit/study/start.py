"""From what was asked to a study that can run: the machine, the rows, the data, the folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from perfkit import discovery
from perfkit.codec import to_json
from perfkit.config import RunConfig
from perfkit.document import Note
from perfkit.engine.events import Event
from perfkit.engine.helpers import prepare, survey
from perfkit.errors import UsageError
from perfkit.runfolder import StudyFolder, read_as, write_json
from perfkit.study.bench import BenchPlan
from perfkit.study.matrix import rows
from perfkit.study.session import Frame
from perfkit.study.sizes import Machine, base_config, chosen

BUDGET_S = 120.0
"""Default time budget of up to two rows."""
BUDGET_PER_ROW_S = 60.0
"""Default time budget of each row, from two on."""
RESERVE_S = 4.0
"""Part of the budget that is kept for ending processes and writing the answer."""
ENVIRONMENT_KEYS = (
    "perfkit", "python", "torch", "cuda", "device_name", "device_uuid", "cpu_model", "cores_usable",
)  # fmt: skip
"""What must be the same for a study to go on."""


@dataclass(frozen=True, kw_only=True)
class BenchRequest:
    """What a user asked of bench."""

    command: str
    archs: tuple[str, ...]
    variants: tuple[str, ...]
    device: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    """RunConfig fields that the plain flags set, for all rows."""
    budget_s: float | None = None
    generations: int | None = None
    steps: int | None = None
    seed: int = 0
    sequential: bool = False


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A study that can run."""

    folder: StudyFolder
    plan: BenchPlan
    frame: Frame


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """What `study.json` holds: enough to go on."""

    plan: BenchPlan
    frame: Frame


def begin(request: BenchRequest, emit: Callable[[Event], None]) -> Prepared:
    """Look at the machine, lay out the rows, make the data and the study folder.

    Raises:
        UsageError: something asked for does not exist or cannot be had.
        PerfkitError: the data cannot be made.
    """
    known = discovery.names("workloads")
    for arch in request.archs:
        if arch not in known:
            raise discovery.unknown("workload", arch, known)
    surveyed = survey(request.device)
    machine = Machine.of(surveyed["device"], surveyed["environment"])
    base = _base(request, machine)
    planned = rows(base, request.archs, request.variants)
    budget_s = request.budget_s
    if budget_s is None:
        budget_s = max(BUDGET_S, BUDGET_PER_ROW_S * len(planned))
    path = prepare(planned[0].config, emit)
    for row in planned[1:]:
        if row.arch != planned[0].arch:
            prepare(row.config, emit)
    folder = StudyFolder.create("bench")
    plan = BenchPlan(
        rows=planned,
        generations=request.generations,
        steps=request.steps,
        side_by_side=not request.sequential,
        seed=request.seed,
    )
    frame = Frame(
        command=request.command,
        environment=surveyed["environment"],
        base=base,
        budget_s=budget_s - RESERVE_S,
        warnings=_warnings(machine, base),
        sizes=chosen(machine, base) + (f"; data in {_home(path)}" if path else ""),
    )
    write_json(folder.path / "study.json", to_json(_Stored(plan=plan, frame=frame)))
    return Prepared(folder=folder, plan=plan, frame=frame)


def resume(name: str, budget_s: float | None) -> Prepared:
    """Open a study that was interrupted.

    Args:
        name: its folder, a file in it, or `latest`.
        budget_s: a time budget that takes the place of the stored one; None keeps it.

    Raises:
        UsageError: there is none, or the machine or the software is not the one it was begun on.
    """
    folder = StudyFolder.find(name)
    if not (folder.path / "study.json").exists():
        raise UsageError(f"{folder.path} holds no study that can be resumed")
    stored = read_as(_Stored, folder.path / "study.json")
    plan, frame = stored.plan, stored.frame
    now = survey(frame.base.device)["environment"]
    changed = [key for key in ENVIRONMENT_KEYS if now.get(key) != frame.environment.get(key)]
    if changed:
        what = ", ".join(f"{k}: {frame.environment.get(k)} then, {now.get(k)} now" for k in changed)
        raise UsageError(
            f"{folder.path} was measured in another environment ({what})",
            hint="figures of two environments do not mix: start a new bench",
        )
    if budget_s is not None:
        frame = replace(frame, budget_s=budget_s - RESERVE_S)
    return Prepared(folder=folder, plan=plan, frame=frame)


def cache_dir() -> Path:
    """Where generated data lives: `PERFKIT_CACHE_DIR`, or `perfkit` in the user's cache folder."""
    named = os.environ.get("PERFKIT_CACHE_DIR")
    if named:
        return Path(named).expanduser().resolve()
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "perfkit"


def _base(request: BenchRequest, machine: Machine) -> RunConfig:
    base = base_config(machine, request.archs[0])
    settings = {name: value for name, value in request.settings.items() if value is not None}
    settings["cache_dir"] = str(cache_dir())
    settings["seed"] = request.seed
    if "batch_size" in settings:
        settings["lr_batch_size"] = settings["batch_size"]
    unknown = settings.keys() - {f.name for f in fields(RunConfig)}
    assert not unknown, f"no such settings: {unknown}"
    try:
        config = replace(base, **settings)
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        raise UsageError(f"--{name.replace('_', '-')} {rest}") from error
    if config.steps_per_epoch < 1:
        raise UsageError(
            f"--batch-size {config.batch_size} is more than the {config.num_samples} samples of an epoch",
            hint="use a smaller batch, or --num-samples",
        )
    return config


def _warnings(machine: Machine, base: RunConfig) -> tuple[Note, ...]:
    found = []
    if base.num_workers > machine.cores:
        text = (
            f"{base.num_workers} loader workers share {machine.cores} cores and queue behind each"
            " other; --variant num_workers=N shows what fewer would do"
        )
        found.append(Note(code="more_workers_than_cores", text=text))
    if base.pin_memory and not machine.device.startswith("cuda"):
        text = (
            "--pin-memory is ignored: it serves copies to a GPU, and this training runs without one"
        )
        found.append(Note(code="setting_ignored", text=text))
    return tuple(found)


def _home(path: str) -> str:
    home = str(Path.home())
    return "~" + path[len(home) :] if path.startswith(home + os.sep) else path
