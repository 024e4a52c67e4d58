"""Share of the epoch that the device idled waiting for a batch.

Why it matters: every other part of the training stands still for it, and a faster model only waits
longer. What to try: more loader workers while there are cores for them, else less work per sample.
Source: the thresholds are those of the TensorFlow input-pipeline analyzer (XProf): 5 % moderate, 20 % high.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis.evidence import Evidence, severity
from perfkit.document import Finding

MODERATE_SHARE = 0.05
HIGH_SHARE = 0.20


def check(evidence: Evidence) -> Finding | None:
    """Return the exposed wait for batches as a share of the epoch, where it is moderate or high."""
    wait_s, step_s = evidence.row.exposed_wait_s, evidence.step_s
    steps_s = evidence.row.epoch_parts_s.get("steps")
    if wait_s is None or step_s is None or steps_s is None:
        return None
    share = evidence.share_of_epoch(steps_s * wait_s / step_s)
    judged = None if share is None else severity(share, MODERATE_SHARE, HIGH_SHARE)
    if share is None or judged is None:
        return None
    unit = units.time_unit([wait_s, step_s])
    return Finding(
        kind="input_bound",
        severity=judged,
        share=share,
        message=(
            f"The device waits for batches during {units.share(share)} of the epoch:"
            f" {units.seconds(wait_s, unit)} of a step of {units.seconds(step_s, unit)}."
        ),
        try_next=_advice(evidence),
    )


def _advice(evidence: Evidence) -> str:
    workers, cores = evidence.config.num_workers, evidence.cores
    more = max(1, 2 * workers) if cores is None else min(max(1, 2 * workers), cores)
    if more > workers:
        share = " (they share the cores with the training)" if evidence.on_cpu else ""
        return f"Add a row with more loader workers{share}: --variant num_workers={more}"
    has = f"{workers} loader worker{'' if workers == 1 else 's'}"
    return (
        f"{has} and {cores} core{'' if cores == 1 else 's'}: more workers would queue for them."
        " Make a sample cheaper: smaller stored images, less augmentation, decoding done beforehand."
    )
