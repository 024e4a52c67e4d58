"""`gpu_check.py --part diagnose`: what `perfkit diagnose` says of jobs with one bottleneck planted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from _common import Row, Target

from perfkit.document import Document, Verdict

WORKLOADS = Path(__file__).parent / "plugins" / "workloads" / "gpu_jobs.py"
JOB_S = 60
"""What one job takes at most: `diagnose` is given 45 s, and ends in its own time."""
BUDGET_S = 45


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job, and what is right to say of it."""

    right: tuple[str, ...]
    """Kinds, any of which is right as the first verdict."""
    arguments: tuple[str, ...]
    """Flags of `perfkit diagnose`."""
    never: str = ""
    """A kind that must not be among its verdicts."""


PREFETCHED = ("--batch-size", "256", "--num-workers", "4", "--prefetch-factor", "4")
JOBS = {
    "launch_bound": Job(
        right=("host_bound",), arguments=("--batch-size", "64", "--num-workers", "0")
    ),
    "item": Job(right=("sync_bound",), arguments=("--batch-size", "128", "--num-workers", "0")),
    # its GradScaler looks at what it found after every backward: that is a synchronising call
    "prefetched": Job(
        right=("compute_bound", "balanced", "sync_bound"),
        never="input_bound",
        arguments=(*PREFETCHED, "--amp", "--pin-memory"),
    ),
    "h2d": Job(
        right=("h2d_bound",),
        arguments=("--batch-size", "128", "--num-workers", "0", "--no-pin-memory"),
    ),
    "input": Job(right=("input_bound",), arguments=("--batch-size", "64", "--num-workers", "2")),
    "compute": Job(
        right=("compute_bound",), arguments=("--batch-size", "256", "--num-workers", "0")
    ),
    "balanced": Job(
        right=("balanced", "compute_bound"),
        never="input_bound",
        arguments=("--batch-size", "256", "--num-workers", "2", "--pin-memory"),
    ),
}
COMMON = ("--num-samples", "16384", "--time-budget", str(BUDGET_S))
SMALL = (
    "--num-samples", "64", "--batch-size", "4", "--num-workers", "0", "--time-budget", "12",
)  # fmt: skip


def arguments_of(name: str, *, small: bool) -> list[str]:
    """Return the flags of `perfkit diagnose` for a job."""
    sizes = SMALL if small else (*COMMON, *JOBS[name].arguments)
    return ["--arch", f"{WORKLOADS}:{name}", *sizes]


def row_of(name: str, document: Document) -> Row:
    """Return what was said of a job, and whether that is right."""
    job, found = JOBS[name], document.diagnosis
    (row, *_) = document.rows
    said = None if found is None else found.primary
    verdicts: tuple[Verdict, ...] = () if found is None else found.verdicts
    kinds = [one.kind for one in verdicts]
    first = next((one for one in verdicts if one.kind == said), None)
    return {
        "job": name,
        "right": list(job.right),
        "said": said,
        "stage": None if first is None else first.stage,
        "verdicts": kinds,
        "is_right": said in job.right and job.never not in kinds,
        "share": None if first is None else first.share.value,
        "step_s": None if row.step_time_s is None else row.step_time_s.median,
        "gpu_util_share": row.gpu_util_share,
        "naive": None
        if found is None or found.naive_nvidia_smi is None
        else found.naive_nvidia_smi,
        "breakdown_s": {} if found is None else found.breakdown_s,
        "because": None if found is None else found.inconclusive_because,
        "evidence": [] if first is None else list(first.evidence),
        "operators": () if found is None else found.operators,
        "unavailable": row.unavailable | ({} if found is None else found.unavailable),
        "seconds": document.method.get("elapsed_s"),
    }


def targets(rows: list[Row]) -> list[Target]:
    """Return whether each job was called what it is; an abstention is none."""
    wrong = [row for row in rows if not row["is_right"] and row["said"] != "inconclusive"]
    right = [row for row in rows if row["is_right"]]
    told = "; ".join(f"{row['job']}: {row['said']}" for row in rows if not row["is_right"])
    return [
        Target(
            name="jobs",
            wanted="each called what it is, none what it is not",
            measured=f"{len(right)} of {len(rows)} right" + (f" ({told})" if told else ""),
            met=len(right) == len(rows) if rows else None,
        ),
        Target(
            name="innocent causes blamed",
            wanted="none",
            measured=", ".join(row["job"] for row in wrong) or "none",
            met=not wrong if rows else None,
        ),
    ]
