"""Share of the epoch that the device idled waiting for a batch.

Why it matters: every other part of the training stands still for it, and a faster model only waits
longer. What to try: where batches were not ready, more loader workers while there are cores for them, else
less work per sample; where they were ready, fewer and larger tensors to hand over; where samples come from
memory, whole batches at once.
Source: the thresholds are those of the TensorFlow input-pipeline analyzer (XProf): 5 % moderate, 20 % high.
"""

from __future__ import annotations

from perfkit import units
from perfkit.diagnosis.evidence import Evidence, severity
from perfkit.document import Finding

MODERATE_SHARE = 0.05
HIGH_SHARE = 0.20
MOSTLY = 0.5
"""From this part on, getting batches is mostly taking over ones that were ready."""
IN_MEMORY_S = 30e-6
"""A sample that is fetched and collated in less comes from memory. Indexing a tensor and stacking it took
3 µs, decoding a small JPEG (32 pixels) alone 75 µs, on one core of a 2024 server."""


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
    handed = _handing_over(evidence)
    mostly = (
        "" if handed is None else f", {units.share(handed)} of it handing over ones that were ready"
    )
    return Finding(
        kind="input_bound",
        severity=judged,
        share=share,
        message=(
            f"The device waits for batches during {units.share(share)} of the epoch:"
            f" {units.seconds(wait_s, unit)} of a step of {units.seconds(step_s, unit)}{mostly}."
        ),
        try_next=_advice(evidence),
    )


def _handing_over(evidence: Evidence) -> float | None:
    """Part of getting batches that is handing them over, where it is most of it.

    Without workers nothing is handed over.
    """
    share = evidence.transfer_share
    workers = evidence.config.num_workers
    return share if share is not None and share > MOSTLY and workers > 0 else None


def _advice(evidence: Evidence) -> str:
    if _handing_over(evidence) is not None:
        return (
            "More workers will not help: batches were ready, and taking them over from a worker costs"
            " something for every tensor. Hand over fewer, larger ones: pack a batch's small tensors into"
            " one each in collate."
        )
    sample_s = _sample_s(evidence)
    if sample_s is not None and sample_s < IN_MEMORY_S:
        return (
            f"Samples come from memory, {units.seconds(sample_s)} each, and a worker would add handing"
            " them over. Fetch a whole batch at once, if yours does not yet: a dataset with"
            " __getitems__(indices) that indexes its tensors once, and a collate that passes the batch on."
        )
    workers, cores = evidence.config.num_workers, evidence.cores
    more = max(1, 2 * workers) if cores is None else min(max(1, 2 * workers), cores)
    if more > workers:
        share = " (they share the cores with the training)" if evidence.on_cpu else ""
        memory = (
            "; where all data is in memory, fetch whole batches instead (__getitems__)"
            if sample_s is None and workers == 0
            else ""
        )
        return f"Add a row with more loader workers{share}: --variant num_workers={more}{memory}"
    has = f"{workers} loader worker{'' if workers == 1 else 's'}"
    return (
        f"{has} and {cores} core{'' if cores == 1 else 's'}: more workers would queue for them."
        " Make a sample cheaper: smaller stored images, less augmentation, decoding done beforehand."
    )


def _sample_s(evidence: Evidence) -> float | None:
    """Seconds of fetching and collating one sample; None where they were not seen."""
    made_s = None if evidence.loader is None else evidence.loader.made_s
    return None if made_s is None else made_s / evidence.config.batch_size
