"""What an attached run says: a row for each training process, and what holds the slowest one back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from perfkit.codec import to_json
from perfkit.diagnosis.judge import Judgement, judge
from perfkit.diagnosis.remedies import remedies
from perfkit.document import Diagnosis, Document, Finding, Note
from perfkit.study.attached import ranks, threads
from perfkit.study.attached.advice import at_their_lines
from perfkit.study.attached.config import ARCH
from perfkit.study.attached.growth import finding_of
from perfkit.study.attached.load import Loads
from perfkit.study.attached.passes import NO_LOADER, Passes, Place
from perfkit.study.attached.read import Recorded
from perfkit.study.attached.result import NOBODY_LOOKED, AttachedRun, attached_run
from perfkit.study.attached.settings import settings_of
from perfkit.study.diagnose.answer import diagnosis

KIND = "run"
NOTHING_TRAINED = (
    "nothing trained here that perfkit can see: no update of an optimizer, no backward on a batch of a"
    " DataLoader, and fewer than 48 backwards without either"
)
NOT_REACHED = (
    "nothing trained here that perfkit can see: no Python process that it reached has imported torch. It does"
    " not reach what runs under sudo, env -i or python -I, in a container, or on another machine"
)
WITHOUT_LOADER = (
    "most steps had no batch of their own from a DataLoader: {what} is a step, and waiting for data is not"
    " known"
)
HANDED = (
    "no step fetched its batch from a DataLoader: {what} is a step, and what it waits for the thread or"
    " process that makes its batch is what its stack showed, 20 times a second"
)
_OF_ARMS = ("differential_s", "loader_samples_per_sec", "compute_samples_per_sec")
"""What only replayed batches, or a loader by itself, would tell."""
_AT_ONCE = dict.fromkeys(("breakdown_s", *_OF_ARMS), "threads_at_once")
_OF_THE_LOADER = (
    "batch_size", "num_workers", "prefetch_factor", "persistent_workers", "pin_memory",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Head:
    """What is known of a run before anything has trained."""

    command: str
    study: str
    """Folder of the study, as a user names it."""
    created: str

    @classmethod
    def now(cls, command: str, study: str) -> Head:
        """Return the head of a run that begins now."""
        return cls.at(command, study, datetime.now(timezone.utc).timestamp())

    @classmethod
    def at(cls, command: str, study: str, unix_s: float) -> Head:
        """Return the head of a run that began then."""
        created = datetime.fromtimestamp(unix_s, timezone.utc).isoformat(timespec="seconds")
        return cls(command=command, study=study, created=created)


def runs_of(
    recorded: Sequence[Recorded],
    peaks: Mapping[int, int] | None = None,
    loads: Loads = NOBODY_LOOKED,
) -> list[AttachedRun]:
    """Return the processes that trained: by rank where they have one, else in the order they began.

    Of processes of one rank, which a launcher started one after another, that with most steps counts.

    Args:
        peaks: by process id, the peak of its resident memory in bytes.
        loads: somebody else's load meanwhile.
    """
    trained = [one for one in recorded if one.steps]
    ranked: dict[int, Recorded] = {}
    for one in trained:
        if one.rank is not None and (one.world_size or 1) > 1:
            known = ranked.get(one.rank)
            if known is None or len(one.steps) > len(known.steps):
                ranked[one.rank] = one
    others = [one for one in trained if one.rank is None or (one.world_size or 1) < 2]
    named = [(f"{ARCH}/rank{rank}", one) for rank, one in sorted(ranked.items())]
    others.sort(key=lambda one: one.started_unix_s)
    alone = len(others) + len(named) == 1
    named += [
        (ARCH if alone else f"{ARCH}/process{n}", one) for n, one in enumerate(others, start=1)
    ]
    peaks = peaks or {}
    found = (
        attached_run(one, key=key, peak_rss_bytes=peaks.get(one.pid), loads=loads)
        for key, one in named
    )
    return ranks.joined([run for run in found if run is not None])


def document_of(
    runs: Sequence[AttachedRun],
    head: Head,
    *,
    elapsed_s: float,
    complete: bool,
    warnings: Sequence[Note] = (),
    reached: bool = True,
) -> Document:
    """Return the Document; without rows where nothing has trained.

    Args:
        elapsed_s: since the command was started.
        complete: False while it runs, and where it was ended before it was done.
        reached: whether a process below the command is known to have imported torch.
    """
    told = ranks.slowest(runs)
    found = None if told is None else _diagnosis(told, head)
    rows = [run.row for run in runs]
    if told is not None and rows[0] is not told.row:
        # the first row is the one that is diagnosed
        rows.sort(key=lambda row: row.key != told.row.key)
    return Document(
        kind=KIND,
        command=head.command,
        created=head.created,
        environment={} if told is None else told.recorded.environment,
        base={} if told is None else _base(told),
        rows=tuple(rows),
        diagnosis=found,
        findings=() if told is None else _findings(told),
        method=_method(runs, told, elapsed_s),
        warnings=(*warnings, *_warnings(runs, told, reached)),
        unavailable={} if found is not None else {"diagnosis": "no_data"},
        complete=complete,
    )


def _findings(run: AttachedRun) -> tuple[Finding, ...]:
    growth = run.evidence.growth
    return (*settings_of(run.recorded), *(() if growth is None else (finding_of(growth),)))


def _diagnosis(run: AttachedRun, head: Head) -> Diagnosis:
    if threads.at_once(run.recorded):
        judged = Judgement(primary="inconclusive", inconclusive_because=threads.AT_ONCE)
        return replace(
            diagnosis(run.evidence, run.result, judged, ()), breakdown_s={}, unavailable=_AT_ONCE
        )
    judged = judge(run.evidence)
    because = _of_another_thread(run)
    if because is not None and judged.primary == "inconclusive":
        judged = replace(judged, inconclusive_because=because)
    computing = judged.primary in ("compute_bound", "inconclusive")
    advised = remedies(run.evidence, judged)
    told = at_their_lines(advised, run, head.study, computing=computing)
    found = diagnosis(run.evidence, run.result, judged, told)
    unavailable = {**found.unavailable, **dict.fromkeys(_OF_ARMS, "attached")}
    unseen = threads.waits_unseen(run.recorded, run.loop)
    breakdown_s = dict(found.breakdown_s)
    if unseen is not None:
        unavailable["waiting"] = unavailable["transfer"] = unseen
        # it lacks nothing: such a step has waited for nothing that was seen
        breakdown_s = {n: s for n, s in breakdown_s.items() if n not in threads.WAITS}
    if "communication" in unavailable and run.recorded.told("launched_collectives"):
        unavailable["communication"] = "only_launched"
    return replace(found, breakdown_s=breakdown_s, unavailable=unavailable)


def _of_another_thread(run: AttachedRun) -> str | None:
    """Say that another thread fetches the batches, where that is so."""
    places = threads.fetched_elsewhere(run.recorded, run.loop)
    return threads.words(places) if places else None


def _base(run: AttachedRun) -> dict[str, Any]:
    """The settings of the loader that was waited for most, the device, and an epoch's length if known."""
    settings = to_json(run.planned.config)
    base = {name: settings[name] for name in (*_OF_THE_LOADER, "devices", "parallel")}
    whole = run.loop.epochs_seen > 1
    return base | ({"steps_per_epoch": run.loop.steps_per_epoch} if whole else {})


def _method(
    runs: Sequence[AttachedRun], told: AttachedRun | None, elapsed_s: float
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "processes": len(runs),
        "steps": sum(len(run.loop.steps) for run in runs),
        "elapsed_s": elapsed_s,
    }
    if told is None:
        return found
    loop, passes = told.loop, told.loop.passes
    samples = [step.samples for step in loop.steps]
    counted = [step.updates for step in loop.steps if step.updates >= 0]
    return found | {
        "windows": len(told.evidence.stretches),
        "interval": "95 %, Student's t over windows of steps of one process",
        "samples": sum(samples) if min(samples) >= 0 else None,
        "backwards": sum(step.backwards for step in loop.steps if step.backwards >= 0),
        "updates": sum(counted) if sum(counted) > 0 else None,
        "epochs_seen": loop.epochs_seen,
        "passes": len(passes.passes),
        "loaders": [_loader(place, passes) for place in passes.places],
        "optimizers": [
            {name: one.get(name) for name in ("optimizer", "kind", "groups", "fused")}
            for one in told.recorded.told("optimizer")
        ],
    }


def _loader(place: Place, passes: Passes) -> dict[str, Any]:
    """A loader's settings, and what was fetched from it and for what."""
    over = [one for one in passes.passes if one.place == place.number]
    trained = [one for one in over if one.trained]
    steps = [step for one in trained for step in one.steps]
    companions = sum(one.companion is not None for one in over)
    facts: dict[str, Any] = to_json(place)
    return facts | {
        "use": "training" if trained else "companion" if companions else "evaluation",
        "passes": len(over),
        "steps": len(steps),
        "batches_seen": sum(len(one.steps) for one in over),
        "wait_s": sum(step.data_wait_s for one in over for step in one.steps),
    }


def _warnings(runs: Sequence[AttachedRun], told: AttachedRun | None, reached: bool) -> list[Note]:
    if told is None:
        text = NOTHING_TRAINED if reached else NOT_REACHED
        return [Note(code="nothing_trained", text=text)]
    found = []
    elsewhere = _of_another_thread(told)
    if threads.at_once(told.recorded):
        found.append(Note(code="threads_at_once", text=threads.AT_ONCE))
    elif elsewhere is not None:
        found.append(Note(code="other_thread", text=elsewhere))
    elif told.loop.main.number == NO_LOADER:
        text = HANDED if told.loop.waited else WITHOUT_LOADER
        updated = any(step.updates > 0 for step in told.loop.steps)
        what = "an update" if updated else "a backward, since no update of an optimizer was seen,"
        found.append(Note(code="no_loader", text=text.format(what=what)))
    return found + ranks.spread(runs, told)
