"""What verdicts, their stages and the parts of an epoch are called in sentences.

A rule of somebody's own has no entry here: it is called by its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from perfkit.document import Diagnosis, Document, Verdict
from perfkit.report.columns import plain
from perfkit.report.settings import whole

UNDECIDED = ("balanced", "inconclusive")
"""What `primary` says where no cause is named."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A cause of lost time, in words."""

    subject: str
    """Begins a sentence that goes on with what it costs."""
    parts: tuple[str, ...] = ()
    """The parts of an epoch that it is read from."""
    each_step: bool = True
    """Every step pays for it, so that seconds of a step tell more than those of an epoch."""
    takes: str = "costs"


KINDS: Mapping[str, Kind] = {
    "input_bound": Kind(subject="Data loading", parts=("waiting", "transfer")),
    "contended": Kind(subject="Contention for the cores", parts=("contention",)),
    "h2d_bound": Kind(subject="Copying batches to the device", parts=("h2d",)),
    "sync_bound": Kind(subject="Waiting for the device in a synchronising call", parts=("sync",)),
    "host_bound": Kind(subject="Launching operators, one by one,", parts=("host_launch",)),
    "compute_bound": Kind(subject="Computing", parts=("compute",), takes="takes"),
    "communication_bound": Kind(subject="Communication between ranks", parts=("communication",)),
    "periodic_bound": Kind(
        subject="Work between steps", parts=("periodic", "eval"), each_step=False
    ),
    "startup_bound": Kind(subject="Starting", parts=("startup",), each_step=False),
    "throttled": Kind(subject="The device's own slowing down", each_step=False),
    "disturbed": Kind(subject="Somebody else's load", each_step=False),
    "untracked": Kind(
        subject="Time that nothing here accounts for",
        parts=("other",),
        each_step=False,
        takes="takes",
    ),
}
STEP_PARTS = (
    "waiting", "transfer", "h2d", "compute", "host_launch", "sync", "communication", "contention",
)  # fmt: skip
"""Parts of an epoch that its steps consist of, in the order of reading."""
BETWEEN = ("periodic", "eval", "startup")
RESIDUAL = "other"
MEANINGS: Mapping[str, str] = {
    "steps": "all steps of an epoch",
    "waiting": "the next batch was not there",
    "transfer": "it was there and had to be handed over from worker to trainer",
    "h2d": "copying batches to the device",
    "compute": "forward, backward, optimizer",
    "host_launch": "the device stood idle for the host's next launch",
    "sync": "calls that wait for the device",
    "communication": "collectives between ranks",
    "contention": "the trainer is slowed down by its own loader workers",
    "periodic": "metrics, plots, checkpoints",
    "eval": "evaluation",
    "startup": "worker start, first batch, compiling; spread over the epochs",
    "other": "what nothing here accounts for",
}
_BUILT_IN = re.compile(r"(convnext|baseline)$|timm:")
_SEEN = "Work beside loading, computing and updating"
_FLAGS = {"too_few_workers": "too few workers"}


def title(name: str) -> str:
    """Return a part, a stage or a flag as words."""
    return plain(name).replace("_", " ")


def named(verdict: Verdict) -> str:
    """Return a verdict's name with its stage: `input_bound/decode`."""
    stage = f"/{plain(verdict.stage)}" if verdict.stage else ""
    return f"{plain(verdict.kind)}{stage}"


def marks(verdict: Verdict) -> str:
    """Return how much a verdict matters and what else is known of it: `high, too few workers`."""
    flags = (_FLAGS.get(flag, title(flag)) for flag in verdict.flags)
    return ", ".join([verdict.severity, *flags])


def primary_of(diagnosis: Diagnosis) -> Verdict | None:
    """Return the verdict that decided; None where there is none."""
    if diagnosis.primary in UNDECIDED:
        return None
    for verdict in diagnosis.verdicts:
        if verdict.kind == diagnosis.primary:
            return verdict
    return None


def kind_of(verdict: Verdict) -> Kind:
    """Return a verdict's kind in words."""
    if verdict.kind == "untracked" and verdict.stage:
        return replace(KINDS["untracked"], subject=_SEEN)
    unknown = title(verdict.kind)
    return KINDS.get(verdict.kind, Kind(subject=unknown[:1].upper() + unknown[1:], each_step=False))


def workers_of(document: Document) -> int | None:
    """Return how many loader workers the diagnosed row has; None where it is not known."""
    return whole(document, document.rows[0], "num_workers") if document.rows else None


def stage_of(verdict: Verdict, document: Document) -> str:
    """Say where in its kind a verdict lies, to end a sentence with; empty where that is not known."""
    stage = plain(verdict.stage or "")
    if verdict.kind == "contended":
        return _contended(stage or next(iter(verdict.flags), ""), document)
    if not stage:
        return "" if verdict.where is None else f"most of it in {plain(verdict.where)}"
    if verdict.kind == "input_bound":
        return _of_input(stage, verdict.where, document)
    if re.search(r":\d+$", stage):
        return f"it is {stage}"
    if verdict.kind == "periodic_bound":
        return f"most of it is {stage}"
    if verdict.kind == "untracked":
        return f"most of it is in {stage}"
    if verdict.kind == "startup_bound":
        within = "" if verdict.where is None else f", in {plain(verdict.where)}"
        return f"most of it is {title(stage)}{within}"
    # how a device computes is no place
    return title(stage) if verdict.kind == "compute_bound" else f"{title(stage)} is the stage"


def _of_input(stage: str, where: str | None, document: Document) -> str:
    if stage == "transfer":
        return "handing batches over from worker to trainer is the stage"
    what = {
        "storage": "reading samples from storage",
        "decode": f"{_decoding(document)}decoding",
        "collate": "putting batches together (collate)",
    }.get(stage, title(stage))
    mostly = "" if where is None else f", most of it in {plain(where)}"
    return f"{what}{_where(document)} is the stage{mostly}"


def _decoding(document: Document) -> str:
    """What is decoded, where that is certain: a workload of somebody's own need not read `data`."""
    arch = document.rows[0].arch if document.rows else ""
    # it lay in the base itself before it was a setting of the workload
    data = str((document.base | document.base.get("workload", {})).get("data", ""))
    if not _BUILT_IN.match(arch):
        return ""
    return "JPEG " if data == "jpeg" else "image " if data.startswith("folder:") else ""


def _where(document: Document) -> str:
    workers = workers_of(document)
    if workers is None:
        return ""
    if workers == 0:
        return " in the training process"
    return f" in {workers} worker{'' if workers == 1 else 's'}"


def _contended(how: str, document: Document) -> str:
    workers = workers_of(document)
    who = f"{workers} workers" if workers and workers > 1 else "the loader's worker"
    if workers is None:
        who = "loader workers"
    if how == "full":
        return f"{who} and the trainer want more than the cores there are"
    if how == "fighting":
        return f"{who} and the trainer are in each other's way, though cores are left"
    return title(how)
