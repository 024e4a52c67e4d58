"""What the diagnosis of a kept run says, held against what was planted: by job, as a matrix, as targets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from _common import Row, Target
from _plants import EXPECTED, Expected, Run

from perfkit.diagnosis.judge import Judgement, judge
from perfkit.document import Verdict
from perfkit.report.markdown import table
from perfkit.stats import Interval, median
from perfkit.study.diagnose.evidence import evidence_of
from perfkit.study.rows import make_rows

MEDIAN_ERROR = 0.03
WORST_ERROR = 0.08
COVERED_SHARE = 0.80


def diagnosed(run: Run) -> tuple[Judgement, float]:
    """Return what perfkit says today of what was measured then, and its epoch in seconds."""
    (process,) = run.result.processes
    (shown,) = make_rows((run.row,), [run.result], {})
    evidence = evidence_of(shown, run.row, process, run.environment)
    epoch_s = 0.0 if evidence.attribution is None else evidence.attribution.epoch_s
    return judge(evidence), epoch_s


def judged(run: Run) -> Row:
    """Return a row of the answer: the verdict, whether it is right, its removable share and the true one."""
    (found, epoch_s), expected = diagnosed(run), EXPECTED[run.job]
    first = found.verdicts[0] if found.verdicts else None
    blocks = [block for process in run.result.processes for block in process.blocks]
    return {
        "job": run.job,
        "planted": label(expected.kinds[0], expected.stage),
        "said": label(found.primary, stage_of(found)),
        "flags": list(first.flags) if first is not None else [],
        "outcome": outcome(found, expected),
        "because": found.inconclusive_because,
        "workers_needed": found.workers_needed,
        "workers_expected": expected.workers,
        "step_s": _per_step_s(found, run),
        "compute_s": None
        if found.compute_samples_per_sec is None
        else run.row.config.batch_size / found.compute_samples_per_sec,
        "layers": run.row.config.workload["num_blocks"],
        **against_ablation(removable_share(found, expected, epoch_s), run.true_share),
        "disturbed": sum(block.disturbed for block in blocks),
        "blocks": len(blocks),
        "seconds": run.seconds,
        "created": run.created,
    }


def label(kind: str, stage: str | None) -> str:
    """Return `kind/stage`."""
    return kind if stage is None else f"{kind}/{stage}"


def stage_of(found: Judgement) -> str | None:
    """Return the stage of the primary verdict."""
    first = _primary(found)
    return None if first is None else first.stage


def outcome(found: Judgement, expected: Expected) -> str:
    """Return `right`, `abstained` or `wrong`: kind and stage decide, and a flag where it is planted.

    A number of workers that is wrong is a target of its own.
    """
    flags = next((verdict.flags for verdict in found.verdicts[:1]), ())
    if (
        found.primary in expected.kinds
        and expected.stage in (None, stage_of(found))
        and (expected.flag is None or expected.flag in flags)
    ):
        return "right"
    return "abstained" if found.primary == "inconclusive" else "wrong"


def removable_share(found: Judgement, expected: Expected, epoch_s: float) -> Interval | None:
    """Return the removable part of an epoch, of a primary verdict that is what was planted; else None."""
    first = _primary(found)
    removable = None if first is None else first.removable_s
    if removable is None or found.primary not in expected.kinds or epoch_s <= 0:
        return None
    bounds = (removable.value, removable.low, removable.high)
    return Interval(*(None if bound is None else bound / epoch_s for bound in bounds))


def against_ablation(share: Interval | None, true: Interval | None) -> Row:
    """Return both shares, the error of the first, and whether it covers the truth, itself an interval.

    Two values that are both measured lie apart by the root of the sum of the squares of their half-widths
    in one of twenty cases.
    """
    error = covers = None
    if share is not None and true is not None:
        error = share.value - true.value
        if share.low is not None and share.high is not None:
            side = share.value - share.low if error > 0 else share.high - share.value
            other = 0.0
            if true.low is not None and true.high is not None:
                other = true.high - true.value if error > 0 else true.value - true.low
            covers = abs(error) <= math.hypot(side, other)
    return {"share": share, "true_share": true, "error": error, "covers": covers}


def matrix(rows: Sequence[Row]) -> str:
    """Return the confusion matrix as a Markdown table: planted by said."""
    counts = Counter((row["planted"], row["said"]) for row in rows)
    planted = list(dict.fromkeys(row["planted"] for row in rows))
    said = sorted({row["said"] for row in rows}, key=lambda one: (one not in planted, one))
    cells = [
        [one, *(str(counts[one, other]) if counts[one, other] else "" for other in said)]
        for one in planted
    ]
    return table(["planted ↓ said →", *said], [False] + [True] * len(said), cells)


def targets(rows: Sequence[Row]) -> tuple[Target, ...]:
    """Return what a diagnosis should show; nothing is judged before every job has run."""
    whole = {row["job"] for row in rows} == EXPECTED.keys()
    wrong = [row["job"] for row in rows if row["outcome"] == "wrong"]
    right = [row for row in rows if row["outcome"] == "right"]
    errors = [abs(row["error"]) for row in rows if row["error"] is not None]
    covers = [row["covers"] for row in rows if row["covers"] is not None]
    counted = [row for row in rows if row["workers_expected"] is not None]
    exact = [row for row in counted if row["workers_needed"] == row["workers_expected"]]
    found = [
        (
            "jobs named right, the rest abstained",
            "all but one, none wrong",
            f"{len(right)} of {len(rows)} right; wrong: {', '.join(wrong) or 'none'}",
            not wrong and len(right) >= len(rows) - 1,
        )
    ]
    if errors:
        found.append(
            (
                "removable share against the ablation",
                f"median error at most {100 * MEDIAN_ERROR:.0f} points, worst at most"
                f" {100 * WORST_ERROR:.0f}",
                f"median {100 * median(errors):.1f}, worst {100 * max(errors):.1f} points",
                median(errors) <= MEDIAN_ERROR and max(errors) <= WORST_ERROR,
            )
        )
    if covers:
        found.append(
            (
                "intervals that hold the truth",
                f"at least {100 * COVERED_SHARE:.0f} %",
                f"{sum(covers)} of {len(covers)}",
                sum(covers) >= COVERED_SHARE * len(covers),
            )
        )
    if counted:
        found.append(
            (
                "workers needed on planted ratios",
                "the number of the ratio",
                f"{len(exact)} of {len(counted)}",
                len(exact) == len(counted),
            )
        )
    return tuple(
        Target(name=name, wanted=wanted, measured=measured, met=met if whole else None)
        for name, wanted, measured, met in found
    )


def _primary(found: Judgement) -> Verdict | None:
    """The verdict of the primary kind; None where it is balanced or inconclusive."""
    return next((verdict for verdict in found.verdicts if verdict.kind == found.primary), None)


def _per_step_s(found: Judgement, run: Run) -> float | None:
    rate = found.actual_samples_per_sec
    return None if rate is None else run.row.config.batch_size / rate
