"""Names and reason codes of a Document in words: why a value is missing."""

from __future__ import annotations

from collections.abc import Mapping

from perfkit.metrics import METRICS
from perfkit.report.columns import plain
from perfkit.telemetry.reading import REASONS

NAMES: Mapping[str, str] = {
    **{metric.name: metric.in_text for metric in METRICS.values()},
    "workers_pss_bytes": "the workers' memory (PSS)",
    "edges": "the edges of an epoch",
    "epoch_start": "start of an epoch",
    "partial_batch": "partial batch",
    "evaluation": "evaluation",
    "evaluation_repeat": "a second evaluation, which tells what the first sets up",
    "eval": "evaluation",
    "periodic": "periodic work",
    "examine": "losses, FLOPs and ceilings",
    "losses": "losses",
    "copy_bytes_per_sec": "copy rate",
    "full_epoch": "real epoch",
    "quit": "leaving",
    "loader_samples_per_sec": "what the loader delivers alone",
    "compute_samples_per_sec": "what computing takes alone",
    "actual_samples_per_sec": "samples per second",
    "workers_needed": "number of workers needed",
    "naive_nvidia_smi": "reading of nvidia-smi",
    "breakdown_s": "where the epoch goes",
    "differential_s": "differences between arms",
    "replay": "replayed batches",
    "replay_running": "replayed batches beside running workers",
    "h2d": "copying to the device",
    "host_launch": "launching",
    "sync": "synchronising calls",
    "communication": "communication",
    "contention": "contention",
    "burst": "a profiled burst",
    "synchronising": "calls that wait for the device",
    "dispatch": "what launching costs",
}
"""Values of a row and parts of a training, as they are called in text; others are left to the JSON."""
_OF_THE_TRAINING = (
    "edges", "epoch_start", "partial_batch", "evaluation", "periodic", "examine", "losses",
    "flops_per_sample", "full_epoch",
)  # fmt: skip
"""What runs the training once more in some other way: what it lacks is not for a device to offer."""
_LOST = {
    "failed": "measuring it failed",
    "no_memory": REASONS["no_memory"],
    "timeout": "it did not end in the time it had",
    "killed": "its process was killed",
    "interrupted": "the study was interrupted before",
}
_LOST_OF_TRAINING = {
    "not_supported": "this training does not allow it",
    "no_data": "there was nothing to measure",
}
_NOTHING_OF_IT = {
    "communication": "one process trains by itself",
    "contention": "no loader worker runs beside the trainer",
    "replay_running": "no loader worker runs beside the trainer",
    "workers_needed": "more workers would not help here",
}
"""Why something is not applicable that is no device's."""
_REASONS = {
    **REASONS,
    **_LOST,
    "no_gpu": REASONS["not_applicable"],
    "no_time": "there was no time left for it",
    "disturbed": "somebody else's load ran beside it",
    "attached": "a script is watched as it is, and nothing of it is run once more",
    "first_epoch": "no second epoch was seen to begin",
    "no_loader": "no batch came from a loader, and what is waited for it is not seen",
    "other_thread": "another thread fetches the batches, and what is waited for it is not seen",
    "threads_at_once": "two threads of the process trained at a time",
    "only_launched": "the host only launches these collectives, and their time on the device is not seen",
    "unknown_peak": "no published peak is known for this device",
}
"""Reason codes in words; a reason that is none of them is shown as it is."""


def name_of(name: str, reason: str) -> str | None:
    """Return what a missing value is called; None where it is not worth a reader's time.

    Periodic work has names of its own: it is told by reasons that only a part of a training has.
    """
    if name in NAMES:
        return NAMES[name]
    return plain(name).replace("_", " ") if reason in _LOST else None


def in_words(reason: str, name: str = "") -> str:
    """Return a reason code in words, of a part of the training as it is meant there."""
    if name in _OF_THE_TRAINING and reason in _LOST_OF_TRAINING:
        return _LOST_OF_TRAINING[reason]
    if reason == "not_applicable" and name in _NOTHING_OF_IT:
        return _NOTHING_OF_IT[name]
    said = plain(reason)
    # a code has no spaces; a sentence keeps its names whole
    return _REASONS.get(reason, said if " " in said else said.replace("_", " "))
